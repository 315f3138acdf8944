/** The console's pages; a value that one of them misses stops it with an error, so tests show every page. */
export interface ConsolePageData {
  [page: `admin/${string}`]: object
}
