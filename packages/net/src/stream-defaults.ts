/** What both engines use where the options of streams.ts say nothing; times in milliseconds. */

/** Connections that wait to be accepted. */
export const BACKLOG = 1024;
/** Limit on connecting, the TLS handshake included. */
export const CONNECT_MS = 10_000;
/** Limit on the TLS handshake of an accepted connection. */
export const HANDSHAKE_MS = 10_000;
/** Idle time before the first keepalive probe: of accepted connections, and of those to a server. */
export const KEEPALIVE_MS = { accepted: 60_000, connected: 30_000 };
/** How long a server's session ticket is awaited (see TlsClient.untilAccepted). */
export const ACCEPT_MS = 300;
