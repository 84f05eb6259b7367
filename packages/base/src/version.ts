/** The version of all packages of mproxy; a test checks it. */
export const VERSION = '0.2.0';
