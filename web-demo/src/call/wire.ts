import type { Ack, ClientToServerEvents, ServerToClientEvents } from './signaling.gen';

/** Client to server: what each request carries and what its acknowledgement holds. */
export type Requests = {
  [Name in keyof ClientToServerEvents]: Exchange<Parameters<ClientToServerEvents[Name]>>;
};

/** Server to client: what each event carries. */
export type Events = {
  [Name in keyof ServerToClientEvents]: Parameters<ServerToClientEvents[Name]>[0];
};

type Exchange<Arguments> = Arguments extends [infer Request, (ack: Ack<infer Reply>) => void]
  ? { request: Request; reply: Reply }
  : never;
