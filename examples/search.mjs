// Neighbours of a picture, by Node's own fetch: node search.mjs IMAGE [INDEX] [K]
import { readFile } from "node:fs/promises";

/** Ask image_search for the k nearest; returns [{ id, distance }], nearest first. */
async function search(triton, image, index, k) {
  // A BYTES element is its length, 32 bits little-endian, and its bytes.
  const tensor = Buffer.concat([Buffer.alloc(4), image]);
  tensor.writeUInt32LE(image.length);
  const head = Buffer.from(
    JSON.stringify({
      inputs: [{ name: "image_bytes", datatype: "BYTES", shape: [1, 1], parameters: { binary_data_size: tensor.length } }],
      outputs: [{ name: "ids" }, { name: "distances" }],
      parameters: { k, index },
    }),
  );
  const reply = await fetch(`${triton}/v2/models/image_search/infer`, {
    method: "POST",
    headers: { "Inference-Header-Content-Length": String(head.length) },
    body: Buffer.concat([head, tensor]),
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(`${reply.status}: ${answer.error}`);
  const [ids, distances] = ["ids", "distances"].map((name) => answer.outputs.find((row) => row.name === name).data);
  // Where there are fewer than k, the places that remain have the distance -1.
  return ids.map((id, place) => ({ id, distance: distances[place] })).filter((hit) => hit.distance >= 0);
}

const [path, index = "photos", k = "10"] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node search.mjs IMAGE [INDEX] [K]");
  process.exit(2);
}
try {
  const triton = process.env.TRITON ?? "http://localhost:8000";
  for (const hit of await search(triton, await readFile(path), index, Number(k))) console.log(`${hit.distance}\t${hit.id}`);
} catch (error) {
  console.error(error.cause ? `${error.message}: ${error.cause.message}` : error.message);
  process.exit(1);
}
