package transport

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// readBody reads the body of a response and decompresses it. This package asks for gzip itself, because
// net/http reports the same error for a broken connection, which is retried, and for an incomplete
// compressed body, whose status counts.
func (c *call) readBody(response *http.Response) error {
	encoding, expected := contentEncoding(response.Header), c.request.ExpectedSize
	if encoding != "" {
		expected = 0 // it is the size once decompressed
	}
	c.limited = io.LimitedReader{R: response.Body, N: c.transport.maxBody + 1}
	body, tooLarge, err := readLimited(&c.limited, response.ContentLength, expected)
	if err != nil {
		return err
	}
	switch encoding {
	case "":
	case "gzip", "x-gzip":
		if len(body) == 0 {
			break // such as after HEAD
		}
		if tooLarge {
			body = nil // a part of it cannot be decompressed
			break
		}
		if body, tooLarge, err = gunzip(body, c.request.ExpectedSize, c.transport.maxBody); err != nil {
			c.undecodable, body = true, nil
		}
	default:
		c.undecodable, body = len(body) > 0, nil
	}
	c.body, c.tooLarge = body, tooLarge
	return nil
}

// notCompressed are the names that servers give by mistake to what they do not compress.
var notCompressed = [...]string{"", "identity", "none", "utf-8", "utf8", "7bit", "8bit", "binary", "chunked"}

// contentEncoding returns how a body is compressed, in lower case, or "".
func contentEncoding(header http.Header) string {
	var encodings []string
	for encoding := range strings.SplitSeq(strings.Join(header["Content-Encoding"], ","), ",") {
		encoding = strings.ToLower(strings.TrimSpace(encoding))
		if !slices.Contains(notCompressed[:], encoding) {
			encodings = append(encodings, encoding)
		}
	}
	return strings.Join(encodings, ",")
}

// readLimited reads a body up to one byte less than its limit, and reports whether there are more.
func readLimited(body *io.LimitedReader, announced, expected int64) (read []byte, tooLarge bool, err error) {
	most := body.N - 1
	if expected > 0 {
		expected = min(expected+expected/8, body.N)
		read, err = readReserved(body, expected, expected)
	} else {
		read, err = readAll(body, announced)
	}
	if int64(len(read)) > most {
		return read[:most], true, err
	}
	return read, false, err
}

// ReadAll reads up to limit bytes of a body. announced is its Content-Length, or -1.
func ReadAll(body io.Reader, announced, limit int64) ([]byte, error) {
	return readAll(&io.LimitedReader{R: body, N: limit}, announced)
}

func readAll(body *io.LimitedReader, announced int64) ([]byte, error) {
	announced = min(announced, body.N)
	if announced <= 0 {
		// io.ReadAll allocates two to three times the size of the body, a bytes.Buffer up to four times.
		return io.ReadAll(body)
	}
	first := announced
	for first > maxReserved {
		first = (first + 7) / 8
	}
	return readReserved(body, first, announced)
}

// readReserved reserves memory for size bytes, for eight times as many once these have come, and so on up to most,
// which together is a seventh more. It takes more if more comes.
func readReserved(body io.Reader, size, most int64) ([]byte, error) {
	read := make([]byte, 0, size+1) // with one byte more, it finds the end without growing
	for {
		n, err := body.Read(read[len(read):cap(read)])
		read = read[:len(read)+n]
		switch {
		case err == io.EOF:
			return read, nil
		case err != nil:
			return read, err
		case len(read) < cap(read):
		case size < most:
			size = min(8*size, most)
			read = append(make([]byte, 0, size+1), read...)
		default:
			read = slices.Grow(read, 1)
		}
	}
}

// maxReserved bounds the memory that a Content-Length alone can reserve.
const maxReserved = 16 << 10

// decompressors are kept because each takes 40 KB.
var decompressors = sync.Pool{New: func() any { return new(gzip.Reader) }}

func gunzip(compressed []byte, expected, limit int64) (body []byte, tooLarge bool, err error) {
	reader, _ := decompressors.Get().(*gzip.Reader)
	defer decompressors.Put(reader)
	if err := reader.Reset(bytes.NewReader(compressed)); err != nil {
		return nil, false, err
	}
	return readLimited(&io.LimitedReader{R: reader, N: limit + 1}, -1, expected)
}
