// Follow the server's events; come back by ourselves when the connection is lost.

const SILENCE_MS = 16000; // the server says something at least every 6 s
const RETRY_MS = 3000;

/** Calls onSections({name: section, ...}) for each event, onLink("live" | "lost") when the connection changes. */
export function follow(url, onSections, onLink) {
  let source, silence;

  function lost() {
    onLink("lost");
    clearTimeout(silence);
    source.close();
    silence = setTimeout(again, RETRY_MS); // by hand: after an HTTP error the browser would give up for good
  }

  /** Where the page is for the owner only, a session that ended is said by nothing but the status. */
  async function again() {
    const answer = await fetch("/api/live", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) location.assign("/login?next=/");
    else open();
  }

  function open() {
    source = new EventSource(url);
    silence = setTimeout(lost, SILENCE_MS);
    source.onmessage = (event) => {
      clearTimeout(silence);
      silence = setTimeout(lost, SILENCE_MS);
      onLink("live");
      onSections(JSON.parse(event.data));
    };
    source.onerror = lost;
  }

  open();
}
