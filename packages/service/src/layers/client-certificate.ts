import { X509Certificate } from 'node:crypto';
import { type Context, ExtensionKey } from '../context.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import type { Result } from '../result.js';
import type { LayerSetup } from './layer-type.js';

export interface ClientCertificateOptions extends LayerSetup {
  /** The field that has its subject (RFC 4514): `CN=client,O=Example`. */
  subjectField?: string | undefined;
  /** The field that has its SHA-256 fingerprint: 64 hexadecimal digits. */
  fingerprintField?: string | undefined;
}

const LINES = new ExtensionKey<Buffer>('client certificate lines');
const NOTHING = Buffer.alloc(0);

/**
 * Tells upstreams of the verified certificate of the client. What the client itself sends in these fields is removed; what a trusted proxy
 * sends stays, and nothing is said of the proxy's own certificate.
 */
export function clientCertificate(options: ClientCertificateOptions): HttpLayer {
  return (inner) => new ClientCertificate(inner, options);
}

class ClientCertificate extends Wrapper {
  readonly #fields: readonly string[];

  constructor(
    inner: HttpService,
    private readonly options: ClientCertificateOptions,
  ) {
    super(inner);
    const { subjectField, fingerprintField } = options;
    this.#fields = [subjectField, fingerprintField].filter((field) => field !== undefined);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const isTrusted = this.options.isTrusted(context);
    // A trusted proxy spells it as it is configured here: what has `_` instead comes from its clients.
    for (const field of this.#fields) request.fields.deleteSpellings(field, isTrusted);
    if (!isTrusted) request.fields.appendLines(this.#linesOf(context.connection));
    return this.inner.call(request, context);
  }

  /** The same for all requests of a connection. */
  #linesOf(connection: Context): Buffer {
    let lines = connection.get(LINES);
    if (!lines) {
      lines = this.#make(connection.tls?.peerCertificate);
      connection.set(LINES, lines);
    }
    return lines;
  }

  #make(der: Buffer | undefined): Buffer {
    if (!der) return NOTHING;
    const certificate = new X509Certificate(der);
    const { subjectField, fingerprintField } = this.options;
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
    const lines = [
      ...(subjectField === undefined ? [] : [`${subjectField}: ${subjectOf(certificate)}`]),
      ...(fingerprintField === undefined ? [] : [`${fingerprintField}: ${fingerprint}`]),
    ];
    return Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
  }
}

/** Node has one attribute a line, the first of the certificate first, and escapes what RFC 4514 does, control characters included. */
function subjectOf({ subject }: X509Certificate): string {
  return subject?.split('\n').reverse().join(',') ?? '';
}
