import { ServerError } from './server-error';
import type { Problem } from './types';

export interface HttpRequest {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  token?: string | undefined;
  body?: object;
}

/** Sends one request and returns its JSON. Every failure is a `ServerError`. */
export async function send<Reply>(path: string, request: HttpRequest = {}): Promise<Reply> {
  const response = await fetch(path, {
    method: request.method ?? 'GET',
    headers: headersOf(request),
    ...(request.body && { body: JSON.stringify(request.body) }),
  }).catch(() => {
    throw ServerError.local('network', 'The server cannot be reached.');
  });
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return undefined as Reply;
  return response.json().catch(() => {
    throw ServerError.local('unreadable', 'The server sent an answer this page cannot read.');
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
