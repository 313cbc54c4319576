import type { ChunkedUploader, ChunkedUploaderOptions, UploadOptions } from './chunked-upload.js';

export interface TusUploaderOptions extends Omit<ChunkedUploaderOptions, 'baseUrl' | 'digest' | 'follow'> {
  /** Where uploads are made, such as `/files/`. */
  endpoint: string;
  /** More `Upload-Metadata`, beside `filename`, `filetype` and, where it is told, `relativePath`. */
  metadata?: Record<string, string>;
}

/** `url` is the upload's own address. */
export interface TusAnswer {
  url: string;
  filename: string;
  /** Bytes. */
  size: number;
}

export interface TusUploadOptions extends UploadOptions {
  metadata?: Record<string, string>;
}

/**
 * `ChunkedUploader` for any tus 1.0.0 server: the same pauses, retries, memory and figures, one chunk
 * at a time. `uploadId` is the upload's URL everywhere.
 */
export class TusUploader {
  constructor(options: TusUploaderOptions);
  upload(blob: Blob, filename?: string, options?: TusUploadOptions): Promise<TusAnswer>;
  smartUpload(blob: Blob, filename?: string, options?: TusUploadOptions): Promise<TusAnswer>;
  unfinished: ChunkedUploader['unfinished'];
  restore(kept: Parameters<ChunkedUploader['restore']>[0]): Promise<TusAnswer>;
  discard: ChunkedUploader['discard'];
  pause(uploadId?: string): void;
  resume(uploadId?: string): void;
  abort(uploadId?: string): void;
  cancel(uploadId?: string): Promise<void>;
}
