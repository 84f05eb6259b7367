/** The version of mproxy: one for all packages, which a test holds to it. */
export const VERSION = '0.2.0';
