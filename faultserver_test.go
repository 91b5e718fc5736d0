package kombo_test

import (
	"compress/gzip"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// serve starts a server with the fault. After the fault its responses are correct.
func (f *fault) serve(call faultyCall, requests *arrivals, arrived func()) *httptest.Server {
	var respond http.HandlerFunc
	if f.respond != nil {
		respond = f.respond(call)
	}
	well := respondWell(call)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/check-api-key") {
			_, _ = io.WriteString(w, `{"status":"success","data":{"environment_id":"environment"}}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		n := requests.add()
		arrived()
		if f.times > 0 && n > f.times {
			well(w, r)
			return
		}
		respond(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	switch {
	case f.frames != nil:
		server.TLS = &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
		server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
			"h2": func(_ *http.Server, connection *tls.Conn, _ http.Handler) {
				c := &frameConn{connection}
				c.serve(func(stream uint32) {
					if n := requests.add(); f.times > 0 && n > f.times {
						c.response(stream, call.response)
						return
					}
					f.frames(call, c, stream)
				})
			},
		}
		server.StartTLS()
	case f.alert != 0:
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			_, err := hello.Conn.Write([]byte{21, 3, 3, 0, 2, 2, f.alert}) // in a separate record
			return nil, errors.Join(errors.New("the handshake is over"), err)
		}}
		server.StartTLS()
	case f.clientCert != 0:
		server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: f.clientCert, MaxVersion: f.clientCert}
		server.StartTLS()
	case f.connect != "":
		server.StartTLS()
	case f.http2:
		server.EnableHTTP2 = true
		server.StartTLS()
	default:
		server.Start()
	}
	return server
}

func respondWell(call faultyCall) http.HandlerFunc {
	return withStatus(200, "application/json", call.response)(call)
}

func withStatus(code int, contentType, body string) func(faultyCall) http.HandlerFunc {
	return func(faultyCall) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
}

func failed(code int, komboCode string) func(faultyCall) http.HandlerFunc {
	return withStatus(code, "application/json", komboError(komboCode))
}

func compress(text string) string {
	var compressed strings.Builder
	w := gzip.NewWriter(&compressed)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return compressed.String()
}

func uncompressed(text string) string { return text }

func shortened(text string) string {
	compressed := compress(text)
	return compressed[:len(compressed)-12]
}

func badChecksum(text string) string {
	compressed := []byte(compress(text))
	compressed[len(compressed)-8] ^= 1
	return string(compressed)
}

// encoded sends a correct response in the given encoding.
func encoded(encoding string, encode func(string) string) func(faultyCall) http.HandlerFunc {
	return func(call faultyCall) http.HandlerFunc {
		return withHeader(withStatus(200, "application/json", encode(call.response)), "Content-Encoding", encoding)(call)
	}
}

func encodedError(code int, komboCode string) func(faultyCall) http.HandlerFunc {
	return withHeader(failed(code, komboCode), "Content-Encoding", "gzip")
}

func cutGzip(call faultyCall) http.HandlerFunc {
	body := compress(call.response)
	return raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)-12]))(call)
}

// withHeader sets header fields, given as alternating names and values.
func withHeader(respond func(faultyCall) http.HandlerFunc, fields ...string) func(faultyCall) http.HandlerFunc {
	return func(call faultyCall) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			respond(call)(w, r)
		}
	}
}

func limitedWith(fields ...string) func(faultyCall) http.HandlerFunc {
	return withHeader(failed(429, "PLATFORM.RATE_LIMIT_EXCEEDED"), fields...)
}

// raw sends the given bytes and closes the connection.
func raw(response string) func(faultyCall) http.HandlerFunc {
	return func(faultyCall) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { end(w, response, -1) }
	}
}

// reset sends the given bytes and resets the connection.
func reset(response string) func(faultyCall) http.HandlerFunc {
	return func(faultyCall) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { end(w, response, 0) }
	}
}

func end(w http.ResponseWriter, response string, linger int) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(connection, response)
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(linger)
	}
	_ = connection.Close()
}

// withLength sends a Content-Length that is wrong by the given number. It closes the connection, because net/http
// would log the bytes after the body to the standard logger.
func withLength(by int) func(faultyCall) http.HandlerFunc {
	return func(call faultyCall) http.HandlerFunc {
		return raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(call.response)+by, call.response))(call)
	}
}

func cutChunk(call faultyCall) http.HandlerFunc {
	return raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(call.response), call.response))(call)
}

func slowHeaders(faultyCall) http.HandlerFunc { return waitForHangUp }

func slowBody(faultyCall) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func overTheCap(call faultyCall) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, call.response)
		spaces := strings.Repeat(" ", 1<<20)
		for range 11 {
			if err == nil {
				_, err = io.WriteString(w, spaces)
			}
		}
	}
}

func firstThen(first, then func(faultyCall) http.HandlerFunc) func(faultyCall) http.HandlerFunc {
	return func(call faultyCall) http.HandlerFunc {
		var requests atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) == 1 {
				first(call)(w, r)
				return
			}
			then(call)(w, r)
		}
	}
}

func rateLimited(retryAfter func() string) func(faultyCall) http.HandlerFunc {
	return func(call faultyCall) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if retryAfter != nil {
				w.Header().Set("Retry-After", retryAfter())
			}
			withStatus(429, "application/json", komboError("PLATFORM.RATE_LIMIT_EXCEEDED"))(call)(w, r)
		}
	}
}

func fixedValue(text string) func() string { return func() string { return text } }

func dateIn(in time.Duration) func() string {
	return func() string { return time.Now().Add(in).UTC().Format(http.TimeFormat) }
}

func redirect(code int) func(faultyCall) http.HandlerFunc {
	return func(faultyCall) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", code) }
	}
}

// The HTTP/2 errors of RFC 9113, section 7.
const (
	protocolError = 1
	internalError = 2
	refusedStream = 7
)

// goAway ends the connection. If the GOAWAY includes the request, the request was accepted but gets no response.
func goAway(withRequest bool) func(faultyCall, *frameConn, uint32) {
	return func(_ faultyCall, c *frameConn, stream uint32) {
		last := uint64(0)
		if withRequest {
			last = uint64(stream)
		}
		c.write(frameGoAway, 0, 0, binary.BigEndian.AppendUint64(nil, last<<32))
		_ = c.connection.CloseWrite()
	}
}

func goAwayAndRespond(call faultyCall, c *frameConn, stream uint32) {
	c.write(frameGoAway, 0, 0, binary.BigEndian.AppendUint64(nil, uint64(stream)<<32))
	c.response(stream, call.response)
}

func resetStream(code uint32, inBody bool) func(faultyCall, *frameConn, uint32) {
	return func(call faultyCall, c *frameConn, stream uint32) {
		if inBody {
			c.write(frameHeaders, flagEndHeaders, stream, []byte{statusOK})
			c.write(frameData, 0, stream, []byte(call.response))
		}
		c.write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
	}
}

// frameConn is the server side of an HTTP/2 connection. An HTTP/2 library would not send these faults.
type frameConn struct{ connection *tls.Conn }

const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	framePing     = 6
	frameGoAway   = 7

	flagEndStream  = 1 // of data and headers
	flagAck        = 1 // of settings and pings
	flagEndHeaders = 4

	statusOK = 0x88 // ":status: 200" in HPACK
)

// serve reads requests until the client closes the connection, and calls a function for each complete request.
func (c *frameConn) serve(request func(stream uint32)) {
	if _, err := io.CopyN(io.Discard, c.connection, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	c.write(frameSettings, 0, 0, nil)
	var header [9]byte
	for {
		if _, err := io.ReadFull(c.connection, header[:]); err != nil {
			return
		}
		kind, flags := header[3], header[4]
		payload := make([]byte, binary.BigEndian.Uint32(header[:4])>>8)
		if _, err := io.ReadFull(c.connection, payload); err != nil {
			return
		}
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			c.write(frameSettings, flagAck, 0, nil)
		case kind == framePing && flags&flagAck == 0:
			c.write(framePing, flagAck, 0, payload)
		case (kind == frameHeaders || kind == frameData) && flags&flagEndStream != 0:
			request(binary.BigEndian.Uint32(header[5:]))
		}
	}
}

func (c *frameConn) response(stream uint32, body string) {
	c.write(frameHeaders, flagEndHeaders, stream, []byte{statusOK})
	c.write(frameData, flagEndStream, stream, []byte(body))
}

// write writes a frame. If that fails, the client has closed the connection, and the next read fails too.
func (c *frameConn) write(kind, flags byte, stream uint32, payload []byte) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	frame = append(frame, flags)
	frame = binary.BigEndian.AppendUint32(frame, stream)
	_, _ = c.connection.Write(append(frame, payload...))
}
