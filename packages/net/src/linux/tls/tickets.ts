import { opensslError } from './errors.js';
import { type Openssl, stableCopy } from './openssl.js';
import type { TicketKey, TicketKeys } from './ticket-keys.js';

/** struct ossl_param_st (<openssl/core.h>): const char *key; unsigned int data_type; void *data; size_t data_size, return_size. */
const PARAM = { size: 40, key: 0, type: 8, data: 16, length: 24 };
const OSSL_PARAM_UTF8_STRING = 4;
const OSSL_PARAM_OCTET_STRING = 5;
/** Where {@link SessionTickets} has what C reads: a key, the parameters of HMAC, and their texts. */
const AT = { name: 0, cipher: 16, mac: 48, params: 128, keyText: 256, digestText: 264, digest: 272 };
const MEMORY = 512;
const IV_SIZE = 16;
const TLS1_3_VERSION = 0x304;

// What the callback returns: SSL_CTX_set_tlsext_ticket_key_evp_cb(3ossl).
const FAILED = -1;
const UNKNOWN = 0;
const ACCEPTED = 1;
const ACCEPTED_RENEW = 2;

/** Encrypts and decrypts the session tickets of a thread's server contexts. */
export class SessionTickets {
  /** The address of the function for SSL_CTX_set_tlsext_ticket_key_evp_cb. */
  readonly callback: bigint;
  readonly #memory = stableCopy(Buffer.alloc(MEMORY));
  readonly #address: number;
  readonly #cipher: number;

  constructor(
    private readonly ssl: Openssl,
    private readonly keys: TicketKeys,
  ) {
    this.#address = ssl.address(this.#memory);
    // EVP_aes_256_cbc is looked up again for each ticket (crypto(7ossl), "Performance").
    this.#cipher = ssl.EVP_CIPHER_fetch(0, 'AES-256-CBC', null);
    if (this.#cipher === 0) throw opensslError(ssl);
    this.#memory.write('key\0', AT.keyText);
    this.#memory.write('digest\0', AT.digestText);
    this.#memory.write('SHA256\0', AT.digest);
    this.#parameter(0, AT.keyText, OSSL_PARAM_OCTET_STRING, AT.mac, 32);
    this.#parameter(1, AT.digestText, OSSL_PARAM_UTF8_STRING, AT.digest, 'SHA256'.length);
    const types = ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int'];
    this.callback = ssl.callback(types, FAILED, (connection, name, iv, cipher, mac, encrypts) =>
      encrypts
        ? this.#encrypt(name!, iv!, cipher!, mac!)
        : this.#decrypt(connection!, name!, iv!, cipher!, mac!),
    );
  }

  #encrypt(name: number, iv: number, cipher: number, mac: number): number {
    const { ssl } = this;
    this.#use(this.keys.current);
    ssl.memcpy(name, this.#address + AT.name, AT.cipher - AT.name);
    if (ssl.RAND_bytes(iv, IV_SIZE) !== 1) return FAILED;
    if (ssl.EVP_EncryptInit_ex(cipher, this.#cipher, null, this.#address + AT.cipher, iv) !== 1)
      return FAILED;
    return this.#authenticate(mac, ACCEPTED);
  }

  #decrypt(connection: number, name: number, iv: number, cipher: number, mac: number): number {
    const { ssl } = this;
    ssl.memcpy(this.#address + AT.name, name, AT.cipher - AT.name);
    const key = this.keys.find(this.#memory.subarray(AT.name, AT.cipher));
    if (!key) return UNKNOWN;
    this.#use(key);
    if (ssl.EVP_DecryptInit_ex(cipher, this.#cipher, null, this.#address + AT.cipher, iv) !== 1)
      return FAILED;
    // A ticket of TLS 1.3 is used once (RFC 8446, appendix C.4): without another one the next connection could not resume.
    const renews = key !== this.keys.current || ssl.SSL_version(connection) === TLS1_3_VERSION;
    return this.#authenticate(mac, renews ? ACCEPTED_RENEW : ACCEPTED);
  }

  #authenticate(mac: number, result: number): number {
    return this.ssl.EVP_MAC_CTX_set_params(mac, this.#address + AT.params) === 1 ? result : FAILED;
  }

  #use(key: TicketKey): void {
    key.name.copy(this.#memory, AT.name);
    key.cipher.copy(this.#memory, AT.cipher);
    key.mac.copy(this.#memory, AT.mac);
  }

  #parameter(index: number, key: number, type: number, data: number, length: number): void {
    const at = AT.params + index * PARAM.size;
    this.#memory.writeBigUInt64LE(BigInt(this.#address + key), at + PARAM.key);
    this.#memory.writeUInt32LE(type, at + PARAM.type);
    this.#memory.writeBigUInt64LE(BigInt(this.#address + data), at + PARAM.data);
    this.#memory.writeBigUInt64LE(BigInt(length), at + PARAM.length);
  }
}
