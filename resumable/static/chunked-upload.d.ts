/** What the server answers when an upload is finished. */
export interface FinishedUpload {
  ok: boolean;
  /** Absolute path on the server, without a mount prefix. */
  path: string;
  /** The same with the mount prefix of the application: what a page should link to. */
  url: string;
  /** Absent after a direct upload. */
  uploadId?: string;
  processed: boolean;
  /** Bytes. */
  size: number;
  filename: string;
  /** Where the job is told of that makes what the options wish. */
  status_url?: string;
  /** With `follow`: how the job ended; `processingError` is a sentence where it failed. */
  state?: 'done' | 'failed' | 'cancelled';
  processingError?: string | null;
  results?: Array<{ role: string; path: string; url: string; filename: string; size: number; type: string }>;
}

export interface UploadStatus {
  uploadId: string;
  totalChunks: number | null;
  receivedChunks: number[];
  /** Chunks before the first gap. */
  completedChunks: number;
  isComplete: boolean;
  /** Bytes before the first gap. */
  offset: number;
  receivedBytes: number;
  totalSize: number | null;
  /** Byte ranges [start, end); the last end is null while the total is unknown. */
  missing: Array<[number, number | null]>;
  /** The chunk size that the server wishes for, in bytes. */
  chunkSize: number;
  path?: string;
  filename?: string;
  size?: number;
}

/**
 * `waiting`: another tab is at work on the same file. `hashing`: all bytes are there, the digest of
 * the whole is not yet. `processing`: the server makes what the options wish (with `follow`).
 */
export type UploadPhase =
  | 'waiting'
  | 'uploading'
  | 'hashing'
  | 'finalizing'
  | 'processing'
  | 'done';

export interface UploadProgress {
  /** Absent for a direct upload. */
  uploadId?: string;
  filename: string;
  /** The chunk that moved; null for the whole upload, and where sizes adapt. */
  chunkIndex: number | null;
  /** An estimate while the sizes of chunks adapt. */
  totalChunks: number;
  chunksCompleted: number;
  /** Percent of the bytes, 0 to 100; never goes back. */
  progress: number;
  /** Bytes sent, whether or not acknowledged yet; never goes back. */
  loaded: number;
  /** Bytes in all. */
  total: number;
  /** Bytes that the server has promised to keep. */
  acknowledged: number;
  /** Bytes put on the wire, repeats included: `sent - total` of a finished upload was wasted. */
  sent: number;
  /** Bytes per second, smoothed. */
  speed: number;
  /** Seconds left, null while unknown. */
  eta: number | null;
  /** How far the job is, 0 to 1; null while unknown. */
  processed: number | null;
  phase: UploadPhase;
}

export interface UploadCompletion {
  uploadId?: string;
  direct?: true;
  filename: string;
  path: string;
  url: string;
  size: number;
}

export interface UploadFailure {
  uploadId?: string;
  direct?: true;
  filename: string;
  error: Error;
}

export interface UploadRetry {
  uploadId?: string;
  filename: string;
  error: UploadError;
  /** Failures in a row so far, from 1. */
  attempt: number;
  /** Milliseconds until the next try. */
  delay: number;
  /** The browser knows of no network: the next try comes as soon as it has one. */
  offline: boolean;
}

export interface ChunkedUploaderOptions {
  /**
   * Bytes; every chunk has this size. Default: sizes adapt to the line, 256 KiB to 64 MiB, so that
   * one takes 2 to 8 seconds. Never more than the server takes.
   */
  chunkSize?: number;
  /** Failures in a row, without any progress, that are forgiven. Default 3; 0 and Infinity work. */
  maxRetries?: number;
  /** Milliseconds; doubled with every failure, then a random part of it is waited. Default 1000. */
  retryDelay?: number;
  /** Milliseconds; the longest wait of our own. Retry-After may ask for more. Default 30 000. */
  maxRetryDelay?: number;
  /** Milliseconds without a byte moving before a request counts as lost. Default 60 000. */
  timeout?: number;
  /** Chunks on their way at the same time. Default 3. */
  maxConcurrent?: number;
  /** What stands before `/upload-chunk` and the others. Default: the page's own origin. */
  baseUrl?: string;
  /** Headers for every request, or a function that is asked before each one. */
  headers?: Record<string, string> | (() => Record<string, string>);
  /** Send cookies to another origin. Default false. */
  withCredentials?: boolean;
  /** Where unfinished uploads are remembered. Default: localStorage; null: nowhere. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
  /** Each chunk with its SHA-256 (tus: SHA-1); needs https. A chunk that was cut is sent whole. */
  checksum?: boolean;
  /** The SHA-256 of the whole file, worked out in a Worker, for the server to compare. Not for tus. */
  digest?: boolean;
  /** Keep the file, or its handle, in IndexedDB until it is uploaded: see `unfinished()`. */
  keepFiles?: boolean;
  /** Follow the job of a finished upload, and resolve when that has ended, too. */
  follow?: boolean;
  /**
   * The server is gone and the tries are used up: keep the blob somewhere. Asked before `onError`;
   * what it resolves with is the error's `fallback`. The upload's promise still rejects.
   */
  onFallback?: (upload: UploadFallback) => unknown;
  onProgress?: (progress: UploadProgress) => void;
  onError?: (failure: UploadFailure) => void;
  onComplete?: (completion: UploadCompletion) => void;
  onRetry?: (retry: UploadRetry) => void;
}

export interface UploadFallback {
  uploadId?: string;
  blob: Blob;
  filename: string;
  /** The processing options, to hand to `upload()` again. */
  options: Record<string, unknown>;
  error: UploadError;
}

/** A file whose upload has not ended, kept by `keepFiles`. */
export interface KeptUpload {
  key: string;
  filename: string;
  /** Bytes. */
  size: number;
  baseUrl: string;
  /** Milliseconds since 1970. */
  time: number;
  options: Record<string, unknown>;
  blob?: Blob;
  handle?: FileSystemFileHandle;
}

/** What is not named here goes to the server as a processing option. */
export interface UploadOptions {
  /** Blobs up to so many bytes go in one request. Default 5 MiB; only for `smartUpload`. */
  chunkThreshold?: number;
  maxConcurrent?: number;
  /** False: do not look for, and do not remember, an unfinished upload. Default true. */
  resumable?: boolean;
  /** Aborting it is `abort()` for this upload; the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** Where the blob came from; `keepFiles` keeps this instead of a copy. */
  handle?: FileSystemFileHandle;
  /** Where in its folder the file lay: two files that differ in nothing else are two uploads. Metadata, too. */
  relativePath?: string;
  /** Kept with the file, as `finished.metadata`; never looked at. An empty file has none by chunks. */
  metadata?: Record<string, string>;
  [processingOption: string]: unknown;
}

/** Where a chunk's bytes belong; all in bytes. */
export interface ChunkPosition {
  start?: number;
  /** The nominal size of every chunk but the last. */
  chunkSize?: number;
  /** The size of the whole file. */
  total?: number;
}

export interface ChunkAnswer {
  ok: boolean;
  uploadId: string;
  chunkIndex: number;
  received: boolean;
  completedChunks: number;
  /** The chunk size that the server wishes for, in bytes. */
  chunkSize: number;
  receivedBytes: number;
  offset: number;
  duplicate: boolean;
}

export class UploadError extends Error {
  /** The HTTP status, 0 when there was no answer. */
  readonly status: number;
  /** The server's word for it, or 'network', 'timeout', 'aborted', 'unreadable', 'http'. */
  readonly code: string;
  /** The same request may succeed later. */
  readonly transient: boolean;
  /** Milliseconds that the server asked to wait. */
  readonly retryAfter?: number;
  /** What `onFallback` came to. */
  readonly fallback?: unknown;
}

/**
 * Uploads blobs in chunks that survive lost connections, reloads and restarts of the server.
 *
 * A failed upload rejects with an `UploadError`, a stopped one with a DOMException `AbortError`.
 */
export class ChunkedUploader {
  constructor(options?: ChunkedUploaderOptions);
  /** A new id with 128 random bits: who does not know it cannot touch the upload. */
  generateUploadId(): string;
  /** The slices of `blob`, in order; all but the last have `chunkSize` bytes. */
  createChunks(blob: Blob, chunkSize?: number): Blob[];
  /** One chunk in one request, without a retry. `position` says where its bytes belong. */
  uploadChunk(
    chunk: Blob,
    chunkIndex: number,
    uploadId: string,
    totalChunks?: number,
    position?: ChunkPosition,
  ): Promise<ChunkAnswer>;
  /** `{exists: false}` comes with `error` when the server did not say. */
  checkUploadStatus(
    uploadId: string,
  ): Promise<({ exists: true } & UploadStatus) | { exists: false; error?: string }>;
  /** Makes one file of an upload's chunks; asking again gives the same answer. */
  finalizeUpload(
    uploadId: string,
    filename?: string,
    options?: UploadOptions,
  ): Promise<FinishedUpload>;
  /** Direct for a small blob, in chunks for a big one. */
  smartUpload(blob: Blob, filename?: string, options?: UploadOptions): Promise<FinishedUpload>;
  /** In chunks; goes on where an earlier try with the same blob stopped. One tab works on a file. */
  upload(blob: Blob, filename?: string, options?: UploadOptions): Promise<FinishedUpload>;
  /** The whole blob in one request; a lost connection sends it again from its start. */
  uploadDirect(blob: Blob, filename?: string, options?: UploadOptions): Promise<FinishedUpload>;
  /** What `keepFiles` has kept for this server, oldest first, also from before a reload. */
  unfinished(): Promise<KeptUpload[]>;
  /** Goes on with a kept upload. A file handle may need the user's leave: call it from a click. */
  restore(kept: KeptUpload): Promise<FinishedUpload>;
  /** Forgets a kept upload and deletes what the server has of it. */
  discard(kept: KeptUpload): Promise<void>;
  /** Stops sending until `resume()`; what was sent is kept. Without an id: every upload. */
  pause(uploadId?: string): void;
  /** Goes on after `pause()`; also ends a wait before the next try. */
  resume(uploadId?: string): void;
  /** Gives up here; the server keeps what it has, and the same blob can go on from there. */
  abort(uploadId?: string): void;
  /** Gives up, deletes what the server has, and calls its processing off. */
  cancel(uploadId?: string): Promise<void>;
}

export const chunkedUploader: ChunkedUploader;
