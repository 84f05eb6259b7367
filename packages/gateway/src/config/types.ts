/**
 * The effective configuration: what a document and the flags say, with every default filled in. Plain data, as workers get it by
 * structured clone. Times are milliseconds, sizes are bytes, file paths are absolute.
 */
export interface GatewayConfig {
  /** At least one. */
  listen: ListenConfig[];
  /** Worker threads; undefined: the CPUs that cpu.max and the affinity allow. */
  workers: number | undefined;
  engine: 'auto' | 'linux' | 'node';
  /** `http1` among them. HTTP/2 is not there yet; a notice says so. */
  protocols: ('http1' | 'http2' | 'websocket')[];
  /** Further protocols that clients may switch to by Upgrade, in lower case. */
  upgrades: string[];
  /** Waiting connections of each listener. */
  backlog: number;
  /** Of all workers together. */
  maxConnections: number;
  /** Of one client, IPv6 by /64; undefined: no limit. */
  maxConnectionsPerIp: number | undefined;
  /** Of TLS listeners; the first is also for names that none has. */
  certificates: CertificateConfig[];
  /** Whether TLS handshakes need the name of a certificate (SNI). */
  strictSni: boolean;
  /** Whether Host may belong to another site than the server name of the handshake. */
  ignoreSniConsistency: boolean;
  /** Whether listeners without TLS redirect to the first one with TLS. */
  httpsRedirection: boolean;
  /** Where to; undefined: the port of that listener. */
  httpsPort: number | undefined;
  /** Strict-Transport-Security (RFC 6797) of responses over TLS. */
  hsts: HstsConfig | undefined;
  /** The fields in which upstreams get the certificates of clients. */
  clientCertificate: ClientCertificateConfig | undefined;
  limits: LimitsConfig;
  timeouts: ClientTimeouts;
  /** Of routes that do not say otherwise, and of port encoding. */
  upstreamTimeouts: UpstreamTimeouts;
  /** CIDR ranges whose forwarding fields and PROXY headers are believed; `unix:`: peers of Unix sockets. */
  trustedProxies: string[];
  /** In the order of the document; the router orders them. None shadows another one. */
  routes: RouteConfig[];
  /** Around the router, the first outermost. */
  middlewares: MiddlewareConfig[];
  /** Undefined: there is no access log. */
  accessLog: AccessLogConfig | undefined;
  /** Accepting goes on that long after SIGTERM, with the health at 503. */
  drain: number;
  /** Requests have that long to end after listeners stopped. */
  grace: number;
  /** Instead of routes: the path of a module whose default export is an HTTP service. Each worker loads it. */
  service: string | undefined;
  /** Instead of routes: hosts name their port. */
  portEncoding: PortEncodingConfig | undefined;
  /** Commands of development servers that start and stop with the gateway. */
  run: string[];
}

export interface ListenConfig {
  /** Its place in the document or on the command line, for messages: `listen[0]`, `--listen-addr`. */
  place: string;
  /** As written, without `tls://`: `127.0.0.1:8000`, `unix:/run/x.sock`, `fd:web`, `fd:3`. */
  text: string;
  at: ListenAddress;
  /** Then there are certificates. */
  tls: boolean;
  /** Whether every connection begins with a PROXY header. Then there are trusted proxies. */
  proxyProtocol: boolean;
}

export type ListenAddress =
  /** The host may be a name; IPv6 addresses have no brackets here. Port 0: the system picks one. */
  | { kind: 'tcp'; host: string; port: number }
  | { kind: 'unix'; path: string }
  /** A descriptor that the service manager passed: by number, or by its name (sd_listen_fds(3)). */
  | { kind: 'fd'; fd: number | string };

/** A certificate with its key, as files in PEM. */
export interface CertificateConfig {
  /** Its place in the document or on the command line, for messages: `certificates[0]`, `tls`, `--tls-cert`. */
  place: string;
  certFile: string;
  keyFile: string;
  /** The names that it serves, lower case: `example.com`, `*.example.com`. Undefined: all that the certificate has. */
  hosts: string[] | undefined;
  /** The authorities that the certificates of its clients come from; undefined: clients need none. */
  clientCaFile: string | undefined;
}

export interface HstsConfig {
  /** In seconds. */
  maxAge: number;
  includeSubdomains: boolean;
  preload: boolean;
}

/** Names of fields, one at least. */
export interface ClientCertificateConfig {
  subjectField: string | undefined;
  fingerprintField: string | undefined;
}

/** Beyond them: 414, 431, 413, 400. */
export interface LimitsConfig {
  requestLine: number;
  headerSection: number;
  headerFields: number;
  /** Undefined: no limit. */
  maxBody: number | undefined;
  /** Chunk extensions and trailers of one message. */
  chunkOverhead: number;
}

export interface ClientTimeouts {
  tlsHandshake: number;
  /** From the first byte of a connection or request until its head is complete. */
  requestHead: number;
  /** Of a kept connection without a request. */
  idle: number;
  /** Without a byte of a request body, until a response head came. */
  requestBody: number;
  /** Least average rate of a request body, bytes per second. */
  requestBodyRate: number;
  /** While the client takes nothing. */
  send: number;
}

export interface UpstreamTimeouts {
  connect: number;
  /** From the end of the request to the response head. */
  responseHead: number;
  /** Without a byte of a response body. */
  responseBody: number;
  /** The same for event streams. */
  eventStream: number;
  /** Without a byte in either direction, once protocols were switched. */
  tunnel: number;
}

export interface RouteConfig {
  /** Its place in the document or on the command line, for messages: `routes[2]`. */
  place: string;
  /** For metrics and the access log: `example.com/api`, `/`. Routes of equal host and path have one name. */
  name: string;
  /** As written: `example.com`, `*.example.com`; undefined: every host that no other route names. */
  host: string | undefined;
  /** As written: `/api`, `/api/*`, `/users/:id`. */
  path: string;
  /** Undefined: all of them. */
  methods: string[] | undefined;
  /** Around the target, the first outermost. */
  middlewares: MiddlewareConfig[];
  target: TargetConfig;
}

/** What answers the requests of a route. */
export type TargetConfig =
  | ({ kind: 'upstream' } & UpstreamConfig)
  /** One of the answering layers: its type and its configuration, as of a middleware. */
  | { kind: 'redirect' | 'respond' | 'static'; config: Record<string, unknown> };

export interface UpstreamConfig {
  /** `http://HOST:PORT` or `https://HOST:PORT` without a path, or `unix:/absolute/path`. At least one. */
  upstreams: string[];
  /** The authorities of https upstreams; undefined: those of the system. */
  tlsCa: string | undefined;
  /** The name that is asked for, and verified; undefined: the host. */
  tlsServername: string | undefined;
  /** The certificate that is presented to them, with its key; both or none. */
  tlsCert: string | undefined;
  tlsKey: string | undefined;
  /** Whether any certificate is accepted. */
  tlsInsecure: boolean | undefined;
  loadBalance: 'round_robin';
  /** Further tries of a request that may be repeated. */
  retries: number;
  timeouts: UpstreamTimeouts;
  pool: PoolConfig;
  /** What Host is sent: the client's, or that of the upstream. */
  hostHeader: 'client' | 'upstream';
  /** Whether `Forwarded` (RFC 7239) is added beside X-Forwarded-*. */
  forwarded: boolean;
  /** The version of the PROXY header that is sent upstream; undefined: none. */
  sendProxy: 'v1' | 'v2' | undefined;
  /** Segments that are removed from the start of the path. */
  stripPrefix: string | undefined;
  /** Put in the place of the route's path; without the other two. */
  replacePath: string | undefined;
  /** Put before the path, after `stripPrefix`. */
  addPrefix: string | undefined;
}

/** Of one upstream and worker. */
export interface PoolConfig {
  maxIdle: number;
  maxConnections: number;
  /** Requests that wait for a connection. */
  maxQueue: number;
  /** Idle connections are closed after that time. */
  idle: number;
}

/** A layer of `mproxy-service` (its `LAYERS`) and its configuration, read by the layer's own table. */
export interface MiddlewareConfig {
  type: string;
  config: Record<string, unknown>;
}

export interface AccessLogConfig {
  /** `-`: stdout; an absolute path; `udp://HOST:PORT[,KEY...]`. */
  to: string;
  format: 'json' | 'combined';
  /** Whether queries are left out. */
  redactQuery: boolean;
  /** Rotation of a file, as in `mproxy-server`: at a size, after a time; how many files are kept, and whether compressed. */
  rotateSize: number | undefined;
  rotateEvery: number | undefined;
  keep: number | undefined;
  gzip: boolean;
}

export interface PortEncodingConfig {
  /** `localhost`, lower case, no dots at the ends. */
  suffixes: string[];
  /** Targets beyond loopback addresses and the ports from 1024 on. */
  allowTargets: { host: string; ports: { from: number; to: number } | undefined }[];
}
