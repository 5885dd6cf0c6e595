// A service's stream in a test's own hands: what comes, when, and in which pieces.

/** Answers the streams of a site; `opened` are those that were, the newest last. */
export function ownStreams(site) {
  const streams = { opened: [], headers: { 'Content-Type': 'text/event-stream' } };
  const before = site.faults;
  site.faults = (request, n) => {
    if (!request.path.startsWith('/v1/posts/reactions/stream')) return before(request, n);
    return {
      handle: (_, response) => {
        const stream = {
          posts: new URLSearchParams(request.path.split('?')[1]).getAll('post_id'),
          request,
          isOpen: () => !request.closed,
          write: (text) => response.write(text),
          /** An event as the service writes it. */
          summary: (post, revision, counts, recent) => {
            const reactions = Object.entries(counts).map(([reaction, count]) => ({
              reaction,
              count,
              ...(recent && { recent }),
            }));
            const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
            const data = JSON.stringify({
              post_id: post,
              revision,
              locked: false,
              total,
              reactions,
            });
            response.write(`event: summary\nid: ${revision}\ndata: ${data}\n\n`);
          },
          end: () => response.end(),
          cut: () => response.destroy(),
        };
        response.writeHead(200, streams.headers);
        response.flushHeaders();
        streams.opened.push(stream);
      },
    };
  };
  return streams;
}
