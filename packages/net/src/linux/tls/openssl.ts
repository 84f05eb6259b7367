import { loadKoffi } from '#native';
import type { Koffi } from '../koffi.js';
import { checkOpenssl, opensslFunction } from './openssl-version.js';

/** Pointers are addresses, or Buffers for the time of the call. */
type Argument = number | bigint | string | Buffer | null;

/** Functions of OpenSSL 3 (man pages, section 3ossl) that return numbers or addresses. Their C types are in the prototypes. */
const NUMBERS = {
  memcpy: 'uintptr_t memcpy(uintptr_t, uintptr_t, size_t)',
  ERR_peek_error: 'unsigned long ERR_peek_error()',
  ERR_peek_last_error: 'unsigned long ERR_peek_last_error()',
  ERR_clear_error: 'void ERR_clear_error()',
  RAND_bytes: 'int RAND_bytes(uintptr_t, int)',

  BIO_new_mem_buf: 'uintptr_t BIO_new_mem_buf(uintptr_t, int)',
  BIO_free: 'int BIO_free(uintptr_t)',
  BIO_number_read: 'uint64_t BIO_number_read(uintptr_t)',
  PEM_read_bio_X509: 'uintptr_t PEM_read_bio_X509(uintptr_t, void *, void *, const char *)',
  PEM_read_bio_PrivateKey: 'uintptr_t PEM_read_bio_PrivateKey(uintptr_t, void *, void *, const char *)',
  X509_free: 'void X509_free(uintptr_t)',
  EVP_PKEY_free: 'void EVP_PKEY_free(uintptr_t)',
  i2d_X509: 'int i2d_X509(uintptr_t, void *)',
  X509_STORE_add_cert: 'int X509_STORE_add_cert(uintptr_t, uintptr_t)',
  X509_VERIFY_PARAM_set_hostflags: 'void X509_VERIFY_PARAM_set_hostflags(uintptr_t, unsigned int)',
  X509_VERIFY_PARAM_set1_host: 'int X509_VERIFY_PARAM_set1_host(uintptr_t, const char *, size_t)',
  X509_VERIFY_PARAM_set1_ip_asc: 'int X509_VERIFY_PARAM_set1_ip_asc(uintptr_t, const char *)',

  EVP_CIPHER_fetch: 'uintptr_t EVP_CIPHER_fetch(uintptr_t, const char *, const char *)',
  EVP_EncryptInit_ex: 'int EVP_EncryptInit_ex(uintptr_t, uintptr_t, void *, uintptr_t, uintptr_t)',
  EVP_DecryptInit_ex: 'int EVP_DecryptInit_ex(uintptr_t, uintptr_t, void *, uintptr_t, uintptr_t)',
  EVP_MAC_CTX_set_params: 'int EVP_MAC_CTX_set_params(uintptr_t, uintptr_t)',

  TLS_method: 'uintptr_t TLS_method()',
  SSL_CTX_new: 'uintptr_t SSL_CTX_new(uintptr_t)',
  SSL_CTX_free: 'void SSL_CTX_free(uintptr_t)',
  SSL_CTX_ctrl: 'long SSL_CTX_ctrl(uintptr_t, int, long, uintptr_t)',
  SSL_CTX_callback_ctrl: 'long SSL_CTX_callback_ctrl(uintptr_t, int, uintptr_t)',
  SSL_CTX_set_options: 'uint64_t SSL_CTX_set_options(uintptr_t, uint64_t)',
  SSL_CTX_set_timeout: 'long SSL_CTX_set_timeout(uintptr_t, long)',
  SSL_CTX_set_num_tickets: 'int SSL_CTX_set_num_tickets(uintptr_t, size_t)',
  SSL_CTX_set_cipher_list: 'int SSL_CTX_set_cipher_list(uintptr_t, const char *)',
  SSL_CTX_set_ciphersuites: 'int SSL_CTX_set_ciphersuites(uintptr_t, const char *)',
  SSL_CTX_use_certificate: 'int SSL_CTX_use_certificate(uintptr_t, uintptr_t)',
  SSL_CTX_use_PrivateKey: 'int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)',
  SSL_CTX_get_cert_store: 'uintptr_t SSL_CTX_get_cert_store(uintptr_t)',
  SSL_CTX_add_client_CA: 'int SSL_CTX_add_client_CA(uintptr_t, uintptr_t)',
  SSL_CTX_set_client_hello_cb: 'void SSL_CTX_set_client_hello_cb(uintptr_t, uintptr_t, uintptr_t)',
  SSL_client_hello_get0_ext: 'int SSL_client_hello_get0_ext(uintptr_t, unsigned int, uintptr_t, uintptr_t)',
  SSL_CTX_set_alpn_select_cb: 'void SSL_CTX_set_alpn_select_cb(uintptr_t, uintptr_t, uintptr_t)',
  SSL_CTX_set_tlsext_ticket_key_evp_cb: 'int SSL_CTX_set_tlsext_ticket_key_evp_cb(uintptr_t, uintptr_t)',
  SSL_CTX_sess_set_new_cb: 'void SSL_CTX_sess_set_new_cb(uintptr_t, uintptr_t)',
  SSL_select_next_proto:
    'int SSL_select_next_proto(uintptr_t, uintptr_t, uintptr_t, unsigned int, uintptr_t, unsigned int)',

  SSL_new: 'uintptr_t SSL_new(uintptr_t)',
  SSL_free: 'void SSL_free(uintptr_t)',
  SSL_set_fd: 'int SSL_set_fd(uintptr_t, int)',
  SSL_get_rbio: 'uintptr_t SSL_get_rbio(uintptr_t)',
  SSL_set_accept_state: 'void SSL_set_accept_state(uintptr_t)',
  SSL_set_connect_state: 'void SSL_set_connect_state(uintptr_t)',
  SSL_get_SSL_CTX: 'uintptr_t SSL_get_SSL_CTX(uintptr_t)',
  SSL_set_SSL_CTX: 'uintptr_t SSL_set_SSL_CTX(uintptr_t, uintptr_t)',
  SSL_set_session_id_context: 'int SSL_set_session_id_context(uintptr_t, void *, unsigned int)',
  SSL_version: 'int SSL_version(uintptr_t)',
  SSL_set_verify: 'void SSL_set_verify(uintptr_t, int, void *)',
  SSL_set_host_name: 'long SSL_ctrl(uintptr_t, int, long, const char *)',
  SSL_set_alpn_protos: 'int SSL_set_alpn_protos(uintptr_t, void *, unsigned int)',
  SSL_get0_param: 'uintptr_t SSL_get0_param(uintptr_t)',
  SSL_set_session: 'int SSL_set_session(uintptr_t, uintptr_t)',
  SSL_SESSION_free: 'void SSL_SESSION_free(uintptr_t)',
  SSL_SESSION_get_protocol_version: 'int SSL_SESSION_get_protocol_version(uintptr_t)',
  SSL_do_handshake: 'int SSL_do_handshake(uintptr_t)',
  SSL_read: 'int SSL_read(uintptr_t, uintptr_t, int)',
  SSL_peek: 'int SSL_peek(uintptr_t, uintptr_t, int)',
  SSL_write: 'int SSL_write(uintptr_t, uintptr_t, int)',
  SSL_has_pending: 'int SSL_has_pending(uintptr_t)',
  SSL_shutdown: 'int SSL_shutdown(uintptr_t)',
  SSL_set_shutdown: 'void SSL_set_shutdown(uintptr_t, int)',
  SSL_get_error: 'int SSL_get_error(uintptr_t, int)',
  SSL_get_verify_result: 'long SSL_get_verify_result(uintptr_t)',
  SSL_get0_peer_certificate: 'uintptr_t SSL_get0_peer_certificate(uintptr_t)',
  SSL_get0_verified_chain: 'uintptr_t SSL_get0_verified_chain(uintptr_t)',
  OPENSSL_sk_num: 'int OPENSSL_sk_num(uintptr_t)',
  SSL_session_reused: 'int SSL_session_reused(uintptr_t)',
  SSL_get0_alpn_selected: 'void SSL_get0_alpn_selected(uintptr_t, uintptr_t, uintptr_t)',
};

/** Functions that return text, or nothing. */
const TEXTS = {
  ERR_lib_error_string: 'const char *ERR_lib_error_string(unsigned long)',
  ERR_reason_error_string: 'const char *ERR_reason_error_string(unsigned long)',
  X509_verify_cert_error_string: 'const char *X509_verify_cert_error_string(long)',
  SSL_get_servername: 'const char *SSL_get_servername(uintptr_t, int)',
  SSL_get_version: 'const char *SSL_get_version(uintptr_t)',
};

type Functions = Record<keyof typeof NUMBERS, (...values: Argument[]) => number> &
  Record<keyof typeof TEXTS, (...values: Argument[]) => string | null>;

/** Bytes of {@link Openssl.scratch}. */
const SCRATCH = 16 * 1024;

/** OpenSSL as this Node carries it. One for each thread: its error queue and its callbacks are a thread's own. */
export interface Openssl extends Functions {
  /** The errno of the previous call; read it immediately. */
  errno(): number;
  address(buffer: Buffer): number;
  /**
   * A function that C calls, for the life of the thread.
   * @param types C types of the values; the result is an int
   * @param failed the result if it throws: no exception may cross C. It is thrown by {@link rethrow}
   */
  callback(types: readonly string[], failed: number, call: (...values: number[]) => number): bigint;
  /** After a call that may have called back. @throws what a callback threw */
  rethrow(): void;
  /** Memory for the time of a call, {@link SCRATCH} bytes, and its address. */
  readonly scratch: Buffer;
  readonly scratchAddress: number;
}

/** A copy that V8 does not move: typed arrays of 64 bytes or less are part of its heap. For C, it must stay referenced. */
export function stableCopy(bytes: Uint8Array): Buffer {
  const memory = Buffer.allocUnsafeSlow(Math.max(bytes.length, 128)).subarray(0, bytes.length);
  memory.set(bytes);
  return memory;
}

/** Where {@link Openssl.scratch} has a pointer, a length behind it, and the bytes that they are about. */
const OUT = { pointer: 0, length: 8, bytes: 16 };

/**
 * What a function returns by a pointer and a length that it is given the addresses of.
 * @returns a part of {@link Openssl.scratch}, empty if it returned nothing; undefined: it is longer than the limit
 */
export function bytesOf(
  { scratch, scratchAddress, memcpy }: Openssl,
  limit: number,
  call: (pointer: number, length: number) => unknown,
): Buffer | undefined {
  scratch.fill(0, OUT.length, OUT.bytes);
  call(scratchAddress + OUT.pointer, scratchAddress + OUT.length);
  const length = scratch.readUInt32LE(OUT.length);
  if (length > limit) return undefined;
  if (length > 0) memcpy(scratchAddress + OUT.bytes, scratch.readBigUInt64LE(OUT.pointer), length);
  return scratch.subarray(OUT.bytes, OUT.bytes + length);
}

let loaded: Openssl | undefined;

/** Loads the interface once per thread. @throws where this Node does not export OpenSSL 3, or koffi is missing */
export function loadOpenssl(): Openssl {
  loaded ??= bind(loadKoffi());
  return loaded;
}

function bind(koffi: Koffi): Openssl {
  checkOpenssl(koffi);
  const library = koffi.load(null);
  const find = ([name, prototype]: [string, string]) => [name, opensslFunction(library, prototype)];
  const functions = Object.fromEntries(
    [...Object.entries(NUMBERS), ...Object.entries(TEXTS)].map(find),
  ) as Functions;
  let thrown: { error: unknown } | undefined;
  const scratch = Buffer.allocUnsafeSlow(SCRATCH);
  return {
    ...functions,
    errno: koffi.errno,
    address: (buffer) => Number(koffi.address(buffer)),
    callback(types, failed, call) {
      const guarded = (...values: number[]) => {
        try {
          return call(...values);
        } catch (error) {
          thrown ??= { error };
          return failed;
        }
      };
      return koffi.register(guarded, koffi.pointer(koffi.proto('int', types)));
    },
    rethrow() {
      if (!thrown) return;
      const { error } = thrown;
      thrown = undefined;
      throw error;
    },
    scratch,
    scratchAddress: Number(koffi.address(scratch)),
  };
}
