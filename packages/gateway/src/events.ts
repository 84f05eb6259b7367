import { info, loss } from 'mproxy-flow/events';

export const WORKER_FAILED = loss(
  'worker_failed',
  'worker {worker} ended: {reason}; lost {requests:request(s)} on {connections:connection(s)}; another one starts[ in {retryMs:duration}]',
);
export const WORKERS_REDUCED = info(
  'workers_reduced',
  'workers: 1, not {workers}: with the engine {engine}, threads cannot share a listener',
);
export const SERVICE_FAILED = info(
  'service_failed',
  'a service failed: {reason}; its client got 500, or its response was cut',
  'service(s) failed',
);
export const ACCEPT_FAILED = info(
  'accept_failed',
  'listening: {listener}: {reason}; connections wait meanwhile',
  'failed accept(s)',
);
export const REQUESTS_CUT = loss(
  'requests_cut',
  'stopped: {connections:connection(s)} did not end within {grace:duration}, and were cut',
);
export const PROTOCOL_LATER = info(
  'protocol_later',
  'protocols: {protocol} is not served yet; its clients are served by HTTP/1.1',
);
export const CERTIFICATES_NOT_NEEDED = info(
  'client_certificates_not_needed',
  '{listener} has no TLS: there, hosts of {certificate} are served without certificates of clients; give https_redirection, or routes that need none',
);
export const UPSTREAM_FAILED = info(
  'upstream_failed',
  '{upstream} cannot be connected to: {reason}; its requests got 502 or 504',
  'failed connection(s) to upstreams',
);
export const HANDSHAKE_FAILED = info(
  'handshake_failed',
  'listening: {listener}: the TLS handshake of {peer} failed: {reason}; reported once a minute, counted always',
  'failed TLS handshake(s)',
);
export const UPSTREAM_INSECURE = loss(
  'upstream_insecure',
  '{place}: tls_insecure: {upstream} is not verified; anyone can pose as it',
);
export const CERTIFICATE_EXPIRED = loss(
  'certificate_expired',
  '{file}: the certificate is not valid since {since}; clients refuse it',
);
export const DESCRIPTORS_FEW = info(
  'descriptors_few',
  'max_connections is {connections}, but the descriptor limit of {limit} is used up by {fits}, each with one to its upstream; raise it (LimitNOFILE=, ulimit -n), or lower max_connections',
);
