// Loaded before the SDK's own examples, which know no address but the real Kombo's: it sends what is meant
// for that to the fake one, and nothing elsewhere.
const real = "https://api.kombo.dev/v1/";
const { fetch } = globalThis;

globalThis.fetch = async (input, init) => {
  const request = new Request(input, init);
  if (!request.url.startsWith(real)) {
    throw new Error(`a request to ${request.url}, which is not Kombo`);
  }
  const url = `${process.env.KOMBOTEST_BASE_URL}/${request.url.slice(real.length)}`;
  return fetch(new Request(url, request));
};
