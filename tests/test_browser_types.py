"""Types of the browser modules: TypeScript takes right uses, refuses wrong ones; names match."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import resumable
from tests.clients import npm

STATIC = Path(resumable.__file__).with_name("static")
TYPED = sorted(path.name.removesuffix(".d.ts") for path in STATIC.glob("*.d.ts"))
RIGHT = """
import { ChunkedUploader, UploadError, type UploadFallback } from 'wsgi-resumable';
import { LiveRecorder } from 'wsgi-resumable/live-recorder.js';
import { RecordingStore, StoreError, type Recording } from 'wsgi-resumable/recording-store.js';
import { ResumableUpload } from 'wsgi-resumable/resumable-upload.js';
import { TusUploader } from 'wsgi-resumable/tus-upload.js';

export async function record(canvas: HTMLCanvasElement): Promise<string> {
  const recorder = new LiveRecorder({ options: { poster: true }, sliceDuration: 500 });
  recorder.addEventListener('retry', ({ detail }) => console.log(detail.delay, detail.offline));
  recorder.addEventListener('error', ({ detail }) => {
    if (detail.error instanceof UploadError) console.log(detail.error.status);
  });
  await recorder.start(canvas.captureStream(), { name: 'canvas.webm' });
  for (const { id, kept, ended } of await LiveRecorder.unfinished()) {
    if (ended) await LiveRecorder.resume(id).finished;
    else if (kept) await LiveRecorder.discard(id);
  }
  return (await recorder.stop()).url;
}

export async function names(): Promise<string[]> {
  const store = new RecordingStore({ endpoint: '/files' });
  const found: Recording[] = await store.list().catch((error: unknown) => {
    if (error instanceof StoreError && error.status === 0) return store.local();
    throw error;
  });
  const { usage, quota } = await store.space();
  return [...found.map(({ name, url }) => url ?? name), `${(usage ?? 0) / (quota ?? 1)}`];
}

export function fill(form: HTMLFormElement): void {
  const element = document.createElement('resumable-upload');
  const same: ResumableUpload = element;
  same.strings = { choose: 'Pick one', action: (word, name) => `${word} ${name}` };
  same.maxSize = 1e9;
  element.addEventListener('upload-finish', ({ detail }) => console.log(detail.url, detail.file));
  form.append(element);
}

export const uploader = new ChunkedUploader({ chunkSize: 1024 });

export async function goOn(file: File, handle: FileSystemFileHandle): Promise<string[]> {
  const onFallback = ({ blob, filename }: UploadFallback) => [blob.size, filename];
  const asked = { keepFiles: true, checksum: true, digest: true, follow: true };
  const keeping = new ChunkedUploader({ ...asked, onFallback });
  const [kept] = await keeping.unfinished();
  const fresh = () => keeping.upload(file, file.name, { handle });
  const { url, state } = await (kept ? keeping.restore(kept) : fresh());
  const tus = new TusUploader({ endpoint: '/files/', metadata: { album: 'Lisbon' } });
  return [url, state ?? 'done', (await tus.upload(file)).url];
}
"""
WRONG = """
import { LiveRecorder } from 'wsgi-resumable/live-recorder.js';
import { RecordingStore } from 'wsgi-resumable/recording-store.js';
import type { ResumableUpload } from 'wsgi-resumable/resumable-upload.js';

// @ts-expect-error there is no such source
new LiveRecorder().start('window');
// @ts-expect-error a duration is a number
new LiveRecorder({ sliceDuration: '1s' });
// @ts-expect-error it is told, not set
new LiveRecorder().state = 'done';
// @ts-expect-error a place that is none
new RecordingStore().remove({} as never, { disk: true });
// @ts-expect-error the value comes from the server
(null as unknown as ResumableUpload).value = '/recordings/x';
"""


def test_typescript_takes_right_uses_and_refuses_wrong_ones(tmp_path: Path) -> None:
    npm.require("typescript")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "wsgi-resumable").symlink_to(STATIC, target_is_directory=True)
    (tmp_path / "right.ts").write_text(RIGHT)
    (tmp_path / "wrong.ts").write_text(WRONG)
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
        "skipDefaultLibCheck": True,
    }
    project = {"compilerOptions": options, "files": ["right.ts", "wrong.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    compiler = npm.path("typescript/bin/tsc")
    done = subprocess.run(
        ["node", compiler, "-p", "."], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("module", TYPED)
def test_types_and_module_export_the_same_names(module: str, tmp_path: Path) -> None:
    reason = npm.missing()
    if reason is not None:
        pytest.skip(reason)
    declared = re.findall(
        r"^export (?:declare )?(?:class|function|const) (\w+)",
        (STATIC / f"{module}.d.ts").read_text(),
        re.MULTILINE,
    )
    script = tmp_path / "names.mjs"
    path = json.dumps(str(STATIC / f"{module}.js"))
    script.write_text(f"console.log(Object.keys(await import({path})).join());")
    code, out, err = npm.end(npm.start(script))
    assert (code, err) == (0, "")
    assert sorted(out.strip().split(",")) == sorted(declared)


def test_the_page_names_every_variable_part_event_and_attribute() -> None:
    page = (Path(__file__).parents[1] / "docs" / "recorder-and-widget.md").read_text()
    sources = "".join(path.read_text() for path in sorted(STATIC.glob("resumable-upload*.js")))
    variables = set(re.findall(r"var\((--resumable-[a-z]+)", sources))
    parts = set(re.findall(r"part: [`'](\w+)", sources))
    events = set(re.findall(r"'(upload-\w+)'", sources))
    flags = set(
        re.findall(r"'(\w+)'", str(re.findall(r"^const (?:FLAGS|TEXTS) = .*", sources, re.M)))
    )
    assert len(variables) == 9
    assert {"bar", "button", "drop"} <= parts
    assert {"upload-finish", "upload-progress"} <= events
    assert {"keep", "protocol"} <= flags
    missing = {name for name in variables | parts | events | flags if f"`{name}`" not in page}
    assert missing == set()
