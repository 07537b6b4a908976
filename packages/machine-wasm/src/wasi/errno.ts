/** Error numbers of WASI preview1, in the order of its specification: the position is the number. */
export const ERRNO_NAMES = [
  "SUCCESS", "E2BIG", "EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EAGAIN", "EALREADY", "EBADF",
  "EBADMSG", "EBUSY", "ECANCELED", "ECHILD", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK",
  "EDESTADDRREQ", "EDOM", "EDQUOT", "EEXIST", "EFAULT", "EFBIG", "EHOSTUNREACH", "EIDRM", "EILSEQ",
  "EINPROGRESS", "EINTR", "EINVAL", "EIO", "EISCONN", "EISDIR", "ELOOP", "EMFILE", "EMLINK", "EMSGSIZE",
  "EMULTIHOP", "ENAMETOOLONG", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENFILE", "ENOBUFS", "ENODEV", "ENOENT",
  "ENOEXEC", "ENOLCK", "ENOLINK", "ENOMEM", "ENOMSG", "ENOPROTOOPT", "ENOSPC", "ENOSYS", "ENOTCONN", "ENOTDIR",
  "ENOTEMPTY", "ENOTRECOVERABLE", "ENOTSOCK", "ENOTSUP", "ENOTTY", "ENXIO", "EOVERFLOW", "EOWNERDEAD", "EPERM",
  "EPIPE", "EPROTO", "EPROTONOSUPPORT", "EPROTOTYPE", "ERANGE", "EROFS", "ESPIPE", "ESRCH", "ESTALE",
  "ETIMEDOUT", "ETXTBSY", "EXDEV", "ENOTCAPABLE",
] as const; // prettier-ignore

/** An error of WASI preview 1, by its name in lower case letters, such as `badf`. */
export type ErrnoName = (typeof ERRNO_NAMES)[number];

const NUMBERS: ReadonlyMap<string, number> = new Map(ERRNO_NAMES.map((name, number) => [name, number]));

/** Names that hosts use for a condition that WASI calls by another name. */
const SYNONYMS: ReadonlyMap<string, ErrnoName> = new Map([
  ["EOPNOTSUPP", "ENOTSUP"],
  ["EWOULDBLOCK", "EAGAIN"],
]);

/** An error that a host call returns to the guest as its error number. It never leaves the WASI layer. */
export class HostError extends Error {
  override readonly name = "HostError";
  readonly errno: ErrnoName;

  constructor(errno: ErrnoName, cause?: unknown) {
    super(errno, cause === undefined ? undefined : { cause });
    this.errno = errno;
  }

  /** The number the guest sees. */
  get number(): number {
    return errnoNumber(this.errno);
  }
}

/** The number of an error of WASI preview 1. */
export function errnoNumber(name: ErrnoName): number {
  const number = NUMBERS.get(name);
  if (number === undefined) throw new TypeError(`${name} is no error of WASI preview1`);
  return number;
}

/** The WASI error for a host's error name such as `ENOENT`; `EIO` for a name that WASI does not have. */
export function errnoName(hostName: string | undefined): ErrnoName {
  if (hostName === undefined) return "EIO";
  const synonym = SYNONYMS.get(hostName);
  if (synonym !== undefined) return synonym;
  return NUMBERS.has(hostName) && hostName !== "SUCCESS" ? (hostName as ErrnoName) : "EIO";
}
