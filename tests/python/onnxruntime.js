// Runs ONNX graphs under onnxruntime: node onnxruntime.js MODULES GRAPH IMAGES.npy OUT.npy [GRAPH IMAGES.npy OUT.npy]...
// MODULES: the folder node_modules that holds onnxruntime-node. The only input of a graph is `images`; OUT gets its only output.
const fs = require("fs");
const path = require("path");
const ort = require(path.resolve(process.argv[2], "onnxruntime-node"));

function readNpy(file) { // version 1, C order, <f4 or |u1
    const bytes = fs.readFileSync(file), start = 10 + bytes.readUInt16LE(8);
    const header = bytes.toString("latin1", 10, start);
    const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((n) => n.trim()).map(Number);
    const data = new Uint8Array(bytes.subarray(start)).buffer; // aligned
    return header.includes("'|u1'") ? new ort.Tensor("uint8", new Uint8Array(data), shape)
                                    : new ort.Tensor("float32", new Float32Array(data), shape);
}

function writeNpy(file, tensor) {
    const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tensor.dims.join(", ")},), }`;
    const header = Buffer.from(text.padEnd(117) + "\n", "latin1"), start = Buffer.from("\x93NUMPY\x01\x00\x76\x00", "latin1");
    fs.writeFileSync(file, Buffer.concat([start, header, Buffer.from(tensor.data.buffer, tensor.data.byteOffset,
                                                                     tensor.data.byteLength)]));
}

(async () => {
    for (let at = 3; at < process.argv.length; at += 3) {
        const [graph, images, out] = process.argv.slice(at, at + 3);
        const session = await ort.InferenceSession.create(graph, { intraOpNumThreads: 1 });
        const found = await session.run({ images: readNpy(images) });
        writeNpy(out, found[session.outputNames[0]]);
    }
})().catch((error) => {
    console.error(String(error));
    process.exit(1);
});
