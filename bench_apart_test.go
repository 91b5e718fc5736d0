package kombo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// serveApart is an environment variable. If it is set, this program is the server of BenchmarkCreateLinkApart.
const serveApart = "KOMBO_TEST_SERVE_APART"

func TestMain(m *testing.M) {
	if os.Getenv(serveApart) == "" {
		os.Exit(m.Run())
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("http://" + listener.Addr().String() + "/v1")
	go func() {
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			respondWithLink(w, r)
		})}
		fmt.Println(server.Serve(listener))
	}()
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends, in any way
}

// One call over HTTP/1.1 to a server in another process, whose garbage and goroutines are not those of the caller. The
// floor is the same by net/http and encoding/json alone, on a transport with the same settings.
func BenchmarkCreateLinkApart(b *testing.B) {
	server := exec.CommandContext(b.Context(), os.Args[0])
	server.Env = append(os.Environ(), serveApart+"=yes")
	stdin, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	url = strings.TrimSpace(url)
	if err != nil || !strings.HasPrefix(url, "http://") {
		b.Fatalf("the server says %q, %v", url, err)
	}
	transport := poolLike()
	b.Cleanup(transport.CloseIdleConnections)
	byHand, client := &http.Client{Transport: transport}, newClient(b, kombo.WithBaseURL(url))
	for _, callers := range []int{1, benchCallers} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			compare(b, callers, max(100, 10*callers),
				contestant{by: "floor", begin: always(func() error {
					link, err := createLinkByHand(b.Context(), byHand, url+"/connect/create-link")
					return checkLink(&kombo.Link{URL: link}, err)
				})},
				contestant{by: "kombo", begin: always(func() error {
					return checkLink(client.Connect.CreateLink(b.Context(), linkRequest))
				})},
			)
		})
	}
}
