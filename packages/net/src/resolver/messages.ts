/** What the program asks its resolver process. */
export interface Question {
  id: number;
  host: string;
}

/** What the resolver process answers: addresses, or the code of an error. */
export interface Reply {
  id: number;
  addresses?: string[];
  code?: string;
}

/** The id of the reply that no question has: the process runs. */
export const READY = 0;
