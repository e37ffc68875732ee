/** SPDY/3's dictionary for header blocks: words, each behind its length, then text. Its Adler-32 is e3c6a7c2. */
const words = [
  ..."options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges".split(
    " ",
  ),
  ..."age allow authorization cache-control connection content-base content-encoding content-language".split(" "),
  ..."content-length content-location content-md5 content-range content-type date etag expect expires from".split(" "),
  ..."host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location".split(" "),
  ..."max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer".split(
    " ",
  ),
  ..."transfer-encoding upgrade user-agent vary via warning www-authenticate method get status".split(" "),
  "200 OK",
  ..."version".split(" "),
  ..."HTTP/1.1 url public set-cookie keep-alive origin".split(" "),
];
const tail = [
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Author",
  "itative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 No",
  "t Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Au",
  "g Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,",
  "image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,def",
  "late,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
].join("");

function withLength(word: string): Buffer {
  const bytes = Buffer.alloc(4 + word.length, word);
  bytes.writeUInt32BE(word.length, 0);
  bytes.write(word, 4);
  return bytes;
}

export const dictionary = Buffer.concat([...words.map(withLength), Buffer.from(tail)]);
