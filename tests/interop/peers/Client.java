import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/** A client of java.net.http's: Client ECHO CLOSE SIZES CODES; see tests/interop/clients. */
public class Client {
    /** Beside what the others do, looks what becomes of a connection of which a message is awaited, and of one that is not read. */
    public static void main(String[] arguments) throws Exception {
        List<byte[]> messages = new ArrayList<>();
        messages.add("žluťoučký kůň".getBytes(StandardCharsets.UTF_8));
        for (String size : arguments[2].split(",")) {
            byte[] payload = new byte[Integer.parseInt(size)];
            Arrays.fill(payload, (byte) 7);
            messages.add(payload);
        }
        Talk echo = new Talk(messages, true);
        int code = echo.closed(arguments[0]);
        System.out.println(echo.came + " " + code);
        for (String asked : arguments[3].split(",")) {
            System.out.println(new Talk(List.of(), true).closed(arguments[1] + asked));
        }
        Map<Talk, WebSocket> idle = new LinkedHashMap<>();
        for (boolean reads : new boolean[] {true, false}) {
            Talk talk = new Talk(messages.subList(0, 1), reads);
            talk.waits = true;
            idle.put(talk, talk.open(arguments[1].replace("close/", "")));
        }
        // The server sends a Ping after 3 s, and gives up a client that has not answered in as many.
        Thread.sleep(10_000);
        for (Map.Entry<Talk, WebSocket> opened : idle.entrySet()) {
            Talk talk = opened.getKey();
            talk.next(opened.getValue());
            opened.getValue().request(1);
            talk.end.completeOnTimeout(1006, 10, TimeUnit.SECONDS).get();
            System.out.println(talk.came == 1 ? "kept" : "lost");
        }
        System.exit(0);
    }

    private static class Talk implements WebSocket.Listener {
        final CompletableFuture<Integer> end = new CompletableFuture<>();
        final List<byte[]> messages;
        final boolean reads;
        final ByteArrayOutputStream message = new ByteArrayOutputStream();
        boolean waits;
        int came;

        Talk(List<byte[]> messages, boolean reads) {
            this.messages = messages;
            this.reads = reads;
        }

        WebSocket open(String url) throws Exception {
            return HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(url), this).get();
        }

        int closed(String url) throws Exception {
            open(url);
            return end.get();
        }

        @Override
        public void onOpen(WebSocket ws) {
            if (reads) {
                ws.request(1);
            }
            if (!messages.isEmpty() && !waits) {
                next(ws);
            }
        }

        void next(WebSocket ws) {
            if (came == messages.size()) {
                ws.sendClose(1000, "");
            } else if (came == 0) {
                ws.sendText(new String(messages.get(0), StandardCharsets.UTF_8), true);
            } else {
                ws.sendBinary(ByteBuffer.wrap(messages.get(came)), true);
            }
        }

        @Override
        public CompletionStage<?> onText(WebSocket ws, CharSequence text, boolean last) {
            return received(ws, text.toString().getBytes(StandardCharsets.UTF_8), last);
        }

        @Override
        public CompletionStage<?> onBinary(WebSocket ws, ByteBuffer data, boolean last) {
            byte[] part = new byte[data.remaining()];
            data.get(part);
            return received(ws, part, last);
        }

        private CompletionStage<?> received(WebSocket ws, byte[] part, boolean last) {
            message.writeBytes(part);
            if (last) {
                if (Arrays.equals(message.toByteArray(), messages.get(came))) {
                    came++;
                    next(ws);
                } else {
                    ws.sendClose(4000, "");
                }
                message.reset();
            }
            ws.request(1);
            return null;
        }

        @Override
        public CompletionStage<?> onClose(WebSocket ws, int code, String reason) {
            end.complete(code);
            return null;
        }

        @Override
        public void onError(WebSocket ws, Throwable error) {
            end.complete(1006);
        }
    }
}
