// Follow the server's events; come back by ourselves when the connection is lost.

const SILENCE_MS = 16000; // the server says something at least every 5 s
const RETRY_MS = 3000;

/** Calls onSections({name: section, ...}) for each event, onLink("live" | "lost") when the connection changes. */
export function follow(url, onSections, onLink) {
  let source, silence;

  function lost() {
    onLink("lost");
    clearTimeout(silence);
    source.close();
    silence = setTimeout(open, RETRY_MS); // by hand: after an HTTP error the browser would give up for good
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
