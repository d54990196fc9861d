// A browser starts no worker for a page that was opened as a file. Search then runs in a hidden frame instead.
// Messages are copied, as those of a worker: search changes the query that it gets, which is also what the field shows.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "Search";
      this.frame.srcdoc = "<!doctype html><title>Search</title>";
      this.frame.onload = () => this.start(String(new URL(url, location.href)));
      document.documentElement.append(this.frame);
    }

    start(url) {
      const inner = this.frame.contentWindow;
      inner.postMessage = (message) => {
        const data = structuredClone(message);
        setTimeout(() => this.onmessage && this.onmessage({ data }));
      };
      const script = inner.document.createElement("script");
      script.src = url;
      script.onload = () => {
        this.ready = true;
        this.waiting.splice(0).forEach((data) => this.deliver(data));
      };
      script.onerror = () => this.onerror && this.onerror(new Event("error"));
      inner.document.head.append(script);
    }

    deliver(data) {
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }

    postMessage(message) {
      const data = structuredClone(message);
      if (this.ready) setTimeout(() => this.deliver(data));
      else this.waiting.push(data);
    }

    terminate() {
      this.frame.remove();
    }
  };
}
