// Runs face-api's own networks, as the npm package ships them, in Node.
//   node face_api.mjs BUNDLE.js FOLDER <jobs.json
// FOLDER holds the weights. A job is {net, file, shape}: an image of bytes, RGB, row by row.
// Prints, for each: what the detector finds, or what the recogniser says of it.
import fs from 'node:fs';

const [, , bundle, folder] = process.argv;
const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
const { stdout } = process;
// The bundle is made for browsers, and does not start where it sees Node.
Object.defineProperty(globalThis, 'process', { value: undefined });
globalThis.window = globalThis;
globalThis.document = { body: {} };
class Nothing {}
const faceapi = await import(bundle);
const { tf } = faceapi;
faceapi.env.setEnv({
  Canvas: Nothing, CanvasRenderingContext2D: Nothing, Image: Nothing, ImageData: Nothing, Video: Nothing,
});
await tf.setBackend('cpu');
await tf.ready();

function load(net, name) {
  const [manifest] = JSON.parse(fs.readFileSync(`${folder}/${name}-weights_manifest.json`));
  const bytes = Uint8Array.from(fs.readFileSync(`${folder}/${name}.bin`));
  net.loadFromWeightMap(tf.io.decodeWeights(bytes.buffer, manifest.weights));
  return net;
}

const detector = load(new faceapi.TinyFaceDetector(), 'tiny_face_detector_model');
const recogniser = load(new faceapi.FaceRecognitionNet(), 'face_recognition_model');
const answers = [];
for (const { net, file, shape } of jobs) {
  const image = tf.tensor4d(Uint8Array.from(fs.readFileSync(file)), [1, ...shape], 'int32');
  if (net === 'detector') {
    const found = await detector.detect(image, { inputSize: 416, scoreThreshold: 0.5 });
    answers.push(found.map(({ score, box }) => [score, box.left, box.top, box.right, box.bottom]));
  } else {
    answers.push([...(await (await recogniser.forward(image)).data())]);
  }
}
stdout.write(JSON.stringify(answers));
