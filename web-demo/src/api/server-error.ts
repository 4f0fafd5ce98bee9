/** Codes this page makes itself, when the server never got to answer. */
export type LocalCode = 'network' | 'timeout' | 'disconnected' | 'unreadable';

/** A request that failed, over REST or over the socket: `code` is stable, the message is the server's. */
export class ServerError extends Error {
  readonly code: string;
  /** HTTP status; undefined for socket requests and when no answer came. */
  readonly status: number | undefined;

  constructor(code: string, message: string, status?: number) {
    super(message);
    this.name = 'ServerError';
    this.code = code;
    this.status = status;
  }

  static local(code: LocalCode, message: string): ServerError {
    return new ServerError(code, message);
  }
}

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof ServerError && codes.includes(error.code);
}
