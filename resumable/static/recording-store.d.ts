import type { FinishedUpload } from './chunked-upload.js';

/**
 * 'finished': on the server. 'kept': whole in this browser only. 'broken': the page went away while
 * it was recorded. 'busy': some tab records or sends it now.
 */
export type RecordingState = 'finished' | 'kept' | 'broken' | 'busy';

/** What the server made of a recording. */
export interface RecordingResult {
  role: string;
  type: string;
  url: string;
  size: number;
}

export interface Recording {
  /** In this browser; null for a recording that only the server knows. */
  id: string | null;
  /** On the server; null for one that it does not have whole. */
  path: string | null;
  /** Absolute addresses, to show and to save; null while the server does not have it whole. */
  url: string | null;
  downloadUrl: string | null;
  uploadId: string | null;
  name: string;
  type: string;
  /** Bytes. */
  size: number;
  /** Bytes of it that are still in this browser. */
  kept: number;
  /** Seconds; null where nobody knows. */
  duration: number | null;
  options: Record<string, unknown> | null;
  /** Milliseconds since 1970. */
  created: number;
  finished: number | null;
  state: RecordingState;
  /** Why the server refused it. */
  failure: string | null;
  results: RecordingResult[];
  /** The server's work on it: the id, and where to ask. */
  job: string | null;
  statusUrl: string | null;
}

export interface RecordingJob {
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  percent: number | null;
  /** Seconds. */
  secondsLeft: number | null;
  results: RecordingResult[];
  error: string | null;
  /** Sentences on what was wished and could not be done. */
  notes: string[];
}

export interface StorageSpace {
  /** Bytes of this origin, and how many it may have. */
  usage: number | null;
  quota: number | null;
  /** Bytes of recordings that are still in this browser. */
  kept: number;
  /** The browser has promised not to clear them. */
  persisted: boolean;
}

export class StoreError extends Error {
  constructor(message: string, status?: number);
  /** The HTTP status, 0 when there was no answer. */
  readonly status: number;
}

/** Tells `change` when a recording of this browser comes, changes or goes, in any tab. */
export class RecordingStore extends EventTarget {
  constructor(settings?: {
    /** What stands before `/recordings`. Default: where this module came from. */
    endpoint?: string;
    headers?: Record<string, string> | (() => Record<string, string>);
    withCredentials?: boolean;
  });
  readonly endpoint: string;
  /** False when the server keeps no list for callers: then only this browser's are listed. */
  readonly listed: boolean;
  list(): Promise<Recording[]>;
  local(): Promise<Recording[]>;
  get(id: string): Promise<Recording | null>;
  keep(
    blob: Blob,
    about?: { name?: string; duration?: number; options?: Record<string, unknown> },
  ): Promise<Recording | null>;
  note(
    answer: FinishedUpload & { type?: string; finished?: number },
    about?: { id?: string; duration?: number; options?: Record<string, unknown> },
  ): Promise<void>;
  blob(recording: Pick<Recording, 'id' | 'type'>): Promise<Blob>;
  save(recording: Recording): Promise<void>;
  remove(recording: Recording, where?: { server?: boolean }): Promise<void>;
  free(recording: Pick<Recording, 'id'>): Promise<void>;
  job(recording: Pick<Recording, 'id' | 'statusUrl'>): Promise<RecordingJob | null>;
  process(recording: Recording, options: Record<string, unknown>): Promise<Recording>;
  cancelJob(recording: Pick<Recording, 'statusUrl'>): Promise<void>;
  space(): Promise<StorageSpace>;
  persist(): Promise<boolean>;
  close(): void;
}
