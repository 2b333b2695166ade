/** Where the cache says what somebody should look at: `console`, pino, winston. */
export interface Logger {
  warn(message: string): void
}
