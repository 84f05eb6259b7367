/** A request to the resolver process. */
export interface Question {
  id: number;
  host: string;
}

/** A reply of the resolver process: addresses or an error code. */
export interface Reply {
  id: number;
  addresses?: string[];
  code?: string;
}

/** The id of a reply without a request: the process is running. */
export const READY = 0;
