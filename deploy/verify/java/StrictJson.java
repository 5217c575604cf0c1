package sekisho;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON that has exactly one meaning: no name twice in an object, whole numbers only, UTF-8 only, no NUL, eight
 * levels at most. Objects become maps, arrays lists, numbers Long.
 */
final class StrictJson {
    /** The text is not JSON, or is JSON that two readers could understand differently. */
    static final class Malformed extends Exception {
        private static final long serialVersionUID = 1;
    }

    private static final int MAX_NESTING = 8;
    private static final int MAX_DIGITS = 15; // every JSON reader can hold such a number exactly

    private final String text;
    private int at;
    private int nesting;

    private StrictJson(String text) {
        this.text = text;
    }

    static Object parse(byte[] octets) throws Malformed {
        StrictJson reader = new StrictJson(utf8(octets));
        Object value = reader.value();
        reader.skipBlanks();
        demand(reader.at == reader.text.length());
        return value;
    }

    /** A decoder made this way reports what is not UTF-8; new String would quietly replace it. */
    private static String utf8(byte[] octets) throws Malformed {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(octets)).toString();
        } catch (CharacterCodingException error) {
            throw new Malformed();
        }
    }

    private Object value() throws Malformed {
        skipBlanks();
        switch (peek()) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return literal("true", Boolean.TRUE);
            case 'f':
                return literal("false", Boolean.FALSE);
            case 'n':
                return literal("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object() throws Malformed {
        Map<String, Object> members = new LinkedHashMap<>();
        open('{');
        if (!take('}')) {
            do {
                skipBlanks();
                String name = string();
                demand(!members.containsKey(name));
                demand(take(':'));
                members.put(name, value());
            } while (take(','));
            demand(take('}'));
        }
        nesting--;
        return members;
    }

    private List<Object> array() throws Malformed {
        List<Object> values = new ArrayList<>();
        open('[');
        if (!take(']')) {
            do {
                values.add(value());
            } while (take(','));
            demand(take(']'));
        }
        nesting--;
        return values;
    }

    private void open(char bracket) throws Malformed {
        demand(take(bracket));
        nesting++;
        demand(nesting <= MAX_NESTING);
    }

    private String string() throws Malformed {
        demand(next() == '"');
        StringBuilder characters = new StringBuilder();
        for (char character = next(); character != '"'; character = next()) {
            demand(character >= ' ');
            characters.append(character == '\\' ? escaped() : character);
        }
        String read = characters.toString();
        // NUL and half a surrogate pair, which only an escape can bring: other languages cannot even hold them.
        demand(read.indexOf('\0') < 0 && StandardCharsets.UTF_8.newEncoder().canEncode(read));
        return read;
    }

    private char escaped() throws Malformed {
        char letter = next();
        switch (letter) {
            case '"':
            case '\\':
            case '/':
                return letter;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                return (char) (hexDigit() << 12 | hexDigit() << 8 | hexDigit() << 4 | hexDigit());
            default:
                throw new Malformed();
        }
    }

    private int hexDigit() throws Malformed {
        int digit = "0123456789abcdef0123456789ABCDEF".indexOf(next());
        demand(digit >= 0);
        return digit % 16;
    }

    private Long number() throws Malformed {
        int start = at;
        while (peek() >= '0' && peek() <= '9') {
            at++;
        }
        String digits = text.substring(start, at);
        demand(!digits.isEmpty() && digits.length() <= MAX_DIGITS);
        demand(digits.length() == 1 || digits.charAt(0) != '0');
        return Long.valueOf(digits);
    }

    private Object literal(String word, Object meaning) throws Malformed {
        demand(text.startsWith(word, at));
        at += word.length();
        return meaning;
    }

    private boolean take(char expected) {
        skipBlanks();
        boolean isThere = peek() == expected;
        if (isThere) {
            at++;
        }
        return isThere;
    }

    private void skipBlanks() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') {
            at++;
        }
    }

    /** The next character, or at the end NUL, which JSON allows nowhere. */
    private char peek() {
        return at < text.length() ? text.charAt(at) : '\0';
    }

    private char next() throws Malformed {
        demand(at < text.length());
        return text.charAt(at++);
    }

    private static void demand(boolean holds) throws Malformed {
        if (!holds) {
            throw new Malformed();
        }
    }
}
