// Asks an upstream once, with the system's resolver, and prints the response: node get-once.js URL
import { httpClient } from 'mproxy-service/http/client';
import { ask } from './exchanges.js';

const http = httpClient({ upstreams: [process.argv[2]!] });
console.log((await ask(http).ended()).shown);
http.close();
