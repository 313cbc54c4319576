// One upload by tus-js-client, as told in JSON; prints one line of JSON for each event.
import { createReadStream, readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import * as tus from "tus-js-client";

const told = JSON.parse(process.argv[2]);
const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const sources = {
  bytes: () => readFileSync(told.file),
  file: () => createReadStream(told.file),
  stream: () => createReadStream(told.file).pipe(new PassThrough()),
};

const storage = told.storage && new tus.FileUrlStorage(told.storage);
// Only what has a URL for each of its parts is stored.
const parts = told.options.parallelUploads ?? 1;
let created = 0;
let pausing = false;
async function pause() {
  if (pausing || created < parts) return;
  pausing = true;
  await upload.abort(told.then === "terminate");
  while (storage && !(await storage.findAllUploads()).length) {
    await new Promise((wake) => setTimeout(wake, 20));
  }
  say("paused", { url: upload.url });
  if (told.then === "resume") upload.start();
  else process.exit(0);
}

const upload = new tus.Upload(sources[told.source ?? "bytes"](), {
  ...told.options,
  ...(storage && { urlStorage: storage }),
  onAfterResponse(request, response) {
    if (response.getStatus() === 201) created += 1;
    say("answer", {
      method: request.getMethod(),
      override: request.getHeader("X-HTTP-Method-Override"),
      url: request.getURL(),
      status: response.getStatus(),
      offset: response.getHeader("Upload-Offset"),
    });
  },
  onUploadUrlAvailable: () => say("url", { url: upload.url }),
  onProgress: (sent) => {
    if (told.pauseWhenSent && sent >= told.pauseWhenSent) pause();
  },
  onChunkComplete: (size, accepted) => {
    say("accepted", { accepted });
    if (told.pauseWhenAccepted && accepted >= told.pauseWhenAccepted) pause();
  },
  onSuccess: () => say("success", { url: upload.url }),
  onError: (error) => {
    say("error", { message: String(error) });
    process.exitCode = 1;
  },
});

if (told.storage) {
  const [previous] = await upload.findPreviousUploads();
  say("previous", { url: previous?.uploadUrl ?? previous?.parallelUploadUrls ?? null });
  if (previous) upload.resumeFromPreviousUpload(previous);
}
upload.start();
