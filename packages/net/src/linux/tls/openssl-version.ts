import type { Koffi } from '../koffi.js';

/** @throws where this Node does not export OpenSSL 3 */
export function checkOpenssl(koffi: Koffi): void {
  const major = opensslFunction(koffi.load(null), 'unsigned int OPENSSL_version_major()') as () => number;
  if (major() < 3) throw new Error(`this Node has OpenSSL ${major()}, and 3 is needed`);
}

/** @throws where this Node does not export it */
export function opensslFunction(library: ReturnType<Koffi['load']>, prototype: string): unknown {
  try {
    return library.func(prototype);
  } catch (error) {
    throw new Error(`this Node does not export OpenSSL 3: ${(error as Error).message}`);
  }
}
