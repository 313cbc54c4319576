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

export type UploadPhase = 'uploading' | 'finalizing' | 'done';

export interface UploadProgress {
  /** Absent for a direct upload. */
  uploadId?: string;
  filename: string;
  /** The chunk that moved, null when the news is of the whole upload. */
  chunkIndex: number | null;
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
  /** Bytes per second over the last five seconds. */
  speed: number;
  /** Seconds left, null while unknown. */
  eta: number | null;
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
  /** Bytes. Default: what the server wishes for, or 1 MiB; never more than the server takes. */
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
  onProgress?: (progress: UploadProgress) => void;
  onError?: (failure: UploadFailure) => void;
  onComplete?: (completion: UploadCompletion) => void;
  onRetry?: (retry: UploadRetry) => void;
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
}

/**
 * Uploads blobs in chunks that survive lost connections, reloads and restarts of the server.
 *
 * A failed upload rejects with an `UploadError`, a stopped one with a DOMException `AbortError`.
 */
export class ChunkedUploader {
  constructor(options?: ChunkedUploaderOptions);
  generateUploadId(): string;
  createChunks(blob: Blob, chunkSize?: number): Blob[];
  uploadChunk(
    chunk: Blob,
    chunkIndex: number,
    uploadId: string,
    totalChunks?: number,
    position?: ChunkPosition,
  ): Promise<ChunkAnswer>;
  checkUploadStatus(
    uploadId: string,
  ): Promise<({ exists: true } & UploadStatus) | { exists: false; error?: string }>;
  finalizeUpload(
    uploadId: string,
    filename?: string,
    options?: UploadOptions,
  ): Promise<FinishedUpload>;
  smartUpload(blob: Blob, filename?: string, options?: UploadOptions): Promise<FinishedUpload>;
  upload(blob: Blob, filename?: string, options?: UploadOptions): Promise<FinishedUpload>;
  uploadDirect(blob: Blob, filename?: string, options?: UploadOptions): Promise<FinishedUpload>;
  pause(uploadId?: string): void;
  resume(uploadId?: string): void;
  abort(uploadId?: string): void;
  cancel(uploadId?: string): Promise<void>;
}

export const chunkedUploader: ChunkedUploader;
