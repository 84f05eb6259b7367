/**
 * The suites of TLS 1.3. The first is the one that each implementation must have (RFC 8446, section 9.1), and the cheapest: AES-128, and
 * SHA-256, for which processors have instructions.
 */
export const TLS13_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** Of TLS 1.2 those with an ephemeral key exchange (ECDHE) and AEAD: all that RFC 9325, section 4.2, recommends, and ChaCha20. */
export const TLS12_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
