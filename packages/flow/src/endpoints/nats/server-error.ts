/** A refusal of the login (nats-server: ErrAuthentication, ErrAuthExpired, ErrAccountAuthExpired, ErrAuthRevoked). */
const LOGIN = /^(authorization violation|(user|account) authentication (expired|revoked))/i;
const PERMISSION = /^permissions violation for (publish|subscription)/i;

/** What a server reported with `-ERR`. */
export class ServerError extends Error {
  /** Whether the server refuses the login. */
  readonly refusesLogin: boolean;
  /** What the login may not do; the connection goes on. */
  readonly forbids: 'publish' | 'subscription' | undefined;

  constructor(text: string) {
    super(`the server reports: ${text}`);
    this.refusesLogin = LOGIN.test(text);
    this.forbids = PERMISSION.exec(text)?.[1]?.toLowerCase() as 'publish' | 'subscription' | undefined;
  }
}
