// Neighbours of a picture, by Java's own HTTP client: java Search.java IMAGE [INDEX] [K]

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

public class Search {
    record Hit(String id, int distance) {}

    private static final String LENGTH = "Inference-Header-Content-Length";

    public static void main(String[] args) throws InterruptedException {
        if (args.length < 1) {
            System.err.println("usage: java Search.java IMAGE [INDEX] [K]");
            System.exit(2);
        }
        String triton = System.getenv().getOrDefault("TRITON", "http://localhost:8000");
        String index = args.length > 1 ? args[1] : "photos";
        int k = args.length > 2 ? Integer.parseInt(args[2]) : 10;
        try {
            for (Hit hit : search(triton, Files.readAllBytes(Path.of(args[0])), index, k)) {
                System.out.println(hit.distance() + "\t" + hit.id());
            }
        } catch (IOException error) {
            System.err.println(error.getMessage() == null ? error : error.getMessage());
            System.exit(1);
        }
    }

    /** The k nearest, nearest first. */
    static List<Hit> search(String triton, byte[] image, String index, int k) throws IOException, InterruptedException {
        // Triton's binary extension: JSON, then the tensors' bytes; a header says where the JSON ends.
        byte[] head = """
                {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1, 1],
                             "parameters": {"binary_data_size": %d}}],
                 "outputs": [{"name": "ids", "parameters": {"binary_data": true}},
                             {"name": "distances", "parameters": {"binary_data": true}}],
                 "parameters": {"k": %d, "index": "%s"}}
                """.formatted(4 + image.length, k, index).getBytes(StandardCharsets.UTF_8);
        var body = new ByteArrayOutputStream();
        body.write(head);
        // A BYTES element is its length, 32 bits little-endian, and its bytes.
        body.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(image.length).array());
        body.write(image);
        var request = HttpRequest.newBuilder(URI.create(triton + "/v2/models/image_search/infer"))
                .header(LENGTH, String.valueOf(head.length))
                .timeout(Duration.ofSeconds(30))
                .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray()))
                .build();
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        var reply = client.send(request, BodyHandlers.ofByteArray());
        if (reply.statusCode() != 200) {
            throw new IOException(reply.statusCode() + ": " + new String(reply.body(), StandardCharsets.UTF_8));
        }
        int start = reply.headers().firstValue(LENGTH).map(Integer::parseInt).orElseThrow();
        return hits(ByteBuffer.wrap(reply.body()).order(ByteOrder.LITTLE_ENDIAN).position(start), k);
    }

    /** The two tensors in the order in which they were asked for: k ids, then k distances. */
    private static List<Hit> hits(ByteBuffer tensors, int k) {
        var ids = new ArrayList<String>();
        for (int place = 0; place < k; place++) {
            byte[] id = new byte[tensors.getInt()];
            tensors.get(id);
            ids.add(new String(id, StandardCharsets.UTF_8));
        }
        var hits = new ArrayList<Hit>();
        for (String id : ids) {
            int distance = tensors.getInt();
            if (distance >= 0) { // where there are fewer than k, the places that remain have the distance -1
                hits.add(new Hit(id, distance));
            }
        }
        return hits;
    }
}
