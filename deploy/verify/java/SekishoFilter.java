package sekisho;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URLDecoder;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import javax.servlet.Filter;
import javax.servlet.FilterChain;
import javax.servlet.FilterConfig;
import javax.servlet.ReadListener;
import javax.servlet.ServletException;
import javax.servlet.ServletInputStream;
import javax.servlet.ServletRequest;
import javax.servlet.ServletResponse;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletRequestWrapper;
import javax.servlet.http.HttpServletResponse;

/**
 * A sample, to be adapted: refuses every request without a valid assertion, and leaves the application as it is.
 *
 * Servlet 3.1 to 4 (for 5 and later write jakarta for javax). It must be the first filter, on every path that
 * certificate users reach. Parameters: key-id, key-file, issuer, audience.
 */
public final class SekishoFilter implements Filter {
    private static final int MAX_BODY_BYTES = 1 << 20;

    /** The jti of every assertion served, with its end. One process only: the servers of a cluster must share this. */
    private final ConcurrentMap<String, Long> served = new ConcurrentHashMap<>();
    private volatile long lastSweep;
    private SekishoVerifier verifier;

    @Override
    public void init(FilterConfig config) throws ServletException {
        try {
            byte[] secret = Files.readAllBytes(Paths.get(config.getInitParameter("key-file")));
            SekishoVerifier.Keys keys = new SekishoVerifier.Keys().addSecret(config.getInitParameter("key-id"), secret);
            verifier = new SekishoVerifier(
                    keys, config.getInitParameter("issuer"), config.getInitParameter("audience"), 5, 300, this::seen);
        } catch (IOException error) {
            throw new ServletException(error); // no key, no application
        }
    }

    @Override
    public void doFilter(ServletRequest incoming, ServletResponse outgoing, FilterChain chain)
            throws IOException, ServletException {
        HttpServletRequest request = (HttpServletRequest) incoming;
        HttpServletResponse response = (HttpServletResponse) outgoing;
        byte[] body = bodyOf(request);
        if (body != null && body.length > MAX_BODY_BYTES) { // the start of it must not pass for the whole
            response.sendError(HttpServletResponse.SC_REQUEST_ENTITY_TOO_LARGE);
            return;
        }
        String query = request.getQueryString();
        String target = request.getRequestURI() + (query == null ? "" : "?" + query); // both as they were sent
        try {
            verifier.verify(now(), request.getMethod(), target, theOnly(request, "X-Login-Id"),
                    theOnly(request, "X-Login-Assertion"), body);
        } catch (SekishoVerifier.Refused refusal) {
            request.getServletContext().log("assertion refused: " + refusal.word);
            response.sendError(HttpServletResponse.SC_FORBIDDEN);
            return;
        }
        chain.doFilter(body == null ? request : new ReadRequest(request, body), response);
    }

    @Override
    public void destroy() {}

    /** getHeader would give the first of several, and the application perhaps another. */
    private static String theOnly(HttpServletRequest request, String name) {
        Enumeration<String> values = request.getHeaders(name);
        String value = values.hasMoreElements() ? values.nextElement() : null;
        return values.hasMoreElements() ? null : value;
    }

    /** Forms and JSON are read here, for their digest. Others stay a stream: with a digest they are refused. */
    private static byte[] bodyOf(HttpServletRequest request) throws IOException {
        if (!isOfType(request, "application/x-www-form-urlencoded") && !isOfType(request, "application/json")) {
            return null;
        }
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        for (int read = 0; read >= 0; read = request.getInputStream().read(buffer)) {
            body.write(buffer, 0, read);
            if (body.size() > MAX_BODY_BYTES) {
                break;
            }
        }
        return body.toByteArray();
    }

    private static boolean isOfType(HttpServletRequest request, String type) {
        String given = request.getContentType();
        return given != null && given.split(";")[0].trim().equalsIgnoreCase(type);
    }

    private boolean seen(String jti, long exp) {
        long now = now();
        if (now != lastSweep) {
            lastSweep = now;
            served.values().removeIf(end -> end < now - 5);
        }
        return served.putIfAbsent(jti, exp) != null;
    }

    private static long now() {
        return System.currentTimeMillis() / 1000;
    }

    /** The request with its body once more: whoever reads a body first takes it away from the application. */
    private static final class ReadRequest extends HttpServletRequestWrapper {
        private final byte[] body;
        private Map<String, String[]> parameters;

        ReadRequest(HttpServletRequest request, byte[] body) {
            super(request);
            this.body = body;
        }

        @Override
        public ServletInputStream getInputStream() {
            ByteArrayInputStream again = new ByteArrayInputStream(body);
            return new ServletInputStream() {
                @Override
                public int read() {
                    return again.read();
                }

                @Override
                public boolean isFinished() {
                    return again.available() == 0;
                }

                @Override
                public boolean isReady() {
                    return true;
                }

                @Override
                public void setReadListener(ReadListener listener) {
                    throw new UnsupportedOperationException();
                }
            };
        }

        @Override
        public BufferedReader getReader() throws IOException {
            return new BufferedReader(new InputStreamReader(getInputStream(), charset()));
        }

        /** Read when first asked for, because applications set the character encoding just before that. */
        @Override
        public Map<String, String[]> getParameterMap() {
            if (parameters == null) {
                Map<String, String[]> all = new LinkedHashMap<>(super.getParameterMap()); // of the query alone by now
                if (isOfType(this, "application/x-www-form-urlencoded")) {
                    addForm(all);
                }
                parameters = Collections.unmodifiableMap(all);
            }
            return parameters;
        }

        private void addForm(Map<String, String[]> all) {
            try {
                for (String field : new String(body, "ISO-8859-1").split("&")) {
                    int equals = field.indexOf('=');
                    String name = unescaped(equals < 0 ? field : field.substring(0, equals));
                    String value = equals < 0 ? "" : unescaped(field.substring(equals + 1));
                    if (!field.isEmpty()) {
                        String[] before = all.getOrDefault(name, new String[0]);
                        String[] values = Arrays.copyOf(before, before.length + 1);
                        values[before.length] = value;
                        all.put(name, values);
                    }
                }
            } catch (IOException error) {
                throw new IllegalStateException(error); // a character encoding this Java does not know
            }
        }

        /** First to bytes: in Windows-31J a letter may be "%8Eq", which URLDecoder alone would take for two. */
        private String unescaped(String text) throws IOException {
            return new String(URLDecoder.decode(text, "ISO-8859-1").getBytes("ISO-8859-1"), charset());
        }

        private String charset() {
            return getCharacterEncoding() == null ? "ISO-8859-1" : getCharacterEncoding();
        }

        @Override
        public String getParameter(String name) {
            String[] values = getParameterMap().get(name);
            return values == null ? null : values[0];
        }

        @Override
        public String[] getParameterValues(String name) {
            return getParameterMap().get(name);
        }

        @Override
        public Enumeration<String> getParameterNames() {
            return Collections.enumeration(getParameterMap().keySet());
        }
    }
}
