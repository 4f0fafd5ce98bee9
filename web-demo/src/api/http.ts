import { ServerError } from './server-error';
import type { Problem } from './types';

export interface HttpRequest {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  token?: string | undefined;
  body?: object;
}

/** Sends one request and returns its JSON. Every failure is a `ServerError`. */
export async function send<Reply>(path: string, request: HttpRequest = {}): Promise<Reply> {
  const response = await ask(path, request);
  if (response.status === 204) return undefined as Reply;
  return response.json().catch(() => {
    throw ServerError.local('unreadable', 'The server sent an answer this page cannot read.');
  });
}

/** The same for an answer that is text. */
export async function sendForText(path: string, request: HttpRequest = {}): Promise<string> {
  const response = await ask(path, request);
  return response.text().catch(() => {
    throw unreachable();
  });
}

/** The answer as it begins to come. Every failure is a `ServerError`, but for one that the caller aborts. */
export async function open(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(path, init).catch((error) => {
    throw init.signal?.aborted ? error : unreachable();
  });
  if (!response.ok) throw await problemOf(response);
  return response;
}

export function unreachable(): ServerError {
  return ServerError.local('network', 'The server cannot be reached.');
}

function ask(path: string, request: HttpRequest): Promise<Response> {
  return open(path, {
    method: request.method ?? 'GET',
    headers: headersOf(request),
    ...(request.body && { body: JSON.stringify(request.body) }),
  });
}

function headersOf({ token, body }: HttpRequest): HeadersInit {
  return {
    Accept: 'application/json',
    ...(token && { Authorization: `Bearer ${token}` }),
    ...(body && { 'Content-Type': 'application/json' }),
  };
}

async function problemOf(response: Response): Promise<ServerError> {
  const problem: Partial<Problem> = await response.json().catch(() => ({}));
  const code = problem.code ?? `http_${response.status}`;
  return new ServerError(code, problem.detail ?? problem.title ?? code, response.status);
}
