import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.text.NumberFormat;
import java.util.HexFormat;
import java.util.Locale;
import java.util.concurrent.Callable;

/**
 * What an application's own parsers make of an amount (REQUIREMENTS 3.4).
 *
 * Reads one text a line, UTF-8 in hexadecimal; answers Long.parseLong, new BigDecimal and
 * NumberFormat.getInstance(Locale.JAPAN).parse, separated by tabs, "error" where one refuses.
 */
public final class AmountOracle {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String text = new String(HexFormat.of().parseHex(line), StandardCharsets.UTF_8);
            answers.println(
                said(() -> Long.toString(Long.parseLong(text))) + "\t"
                    + said(() -> new BigDecimal(text).toPlainString()) + "\t"
                    + said(() -> NumberFormat.getInstance(Locale.JAPAN).parse(text).toString()));
        }
        answers.flush();
    }

    private static String said(Callable<String> parser) {
        try {
            return parser.call();
        } catch (Exception refused) {
            return "error";
        }
    }
}
