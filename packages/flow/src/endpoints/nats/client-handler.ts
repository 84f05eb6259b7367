import type { ConnectionCounts } from '../../counts.js';
import type { ServerConnection } from './server-connection.js';
import type { ServerError } from './server-error.js';

/** Takes what happens to the connection of a client. */
export interface ClientHandler {
  /** The client counts its connections there. */
  readonly counts: ConnectionCounts;
  /** Connected, and subscribed. */
  onAttached(connection: ServerConnection): void;
  /** The client moves to another server: nothing more is to be written to this one. */
  onLeaving(): void;
  /** @param confirmed the server has handled everything that it was sent */
  onDetached(confirmed: boolean): void;
  /** What the login may not do was tried. @returns what follows of that until it may, for the user */
  onDenied(error: ServerError): string;
  onDrain(): void;
  onBurstEnd(): void;
}
