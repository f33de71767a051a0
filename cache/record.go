package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxRecord is the largest record that is written or read, in bytes. It holds
// several times the largest token that STS takes (20 kB).
const MaxRecord = 256 << 10

const (
	// recordForm opens every record. Another form gets another word.
	recordForm = "daypass1"
	// maxHeader bounds the header line, in bytes: it is 146 at the longest.
	maxHeader = 160
	// maxChunks bounds the chunks of a record.
	maxChunks = 999
)

// header is the first line of a record's head item:
//
//	daypass1 GENERATION WRITTEN UNTIL CHUNKS SIZE SHA256\n
//
// with decimal numbers and the payload's digest in hexadecimal. With no chunks,
// the payload follows the line in the same item. Otherwise the head is the
// line alone, and the payload lies in chunk items, in the slot
// generation mod 2, so that the next writer fills the other slot while this
// record is still being read.
type header struct {
	generation uint64
	written    int64 // Unix time in nanoseconds; grows with each write, whatever the clock does
	until      int64 // Unix time in seconds from which on the record is worth nothing; 0: never
	chunks     int
	size       int // of the payload, in bytes
	digest     [sha256.Size]byte
}

// next is the header of the record that replaces the one h is of, written now
// or, where the clock was set back, just after it.
func (h header) next(now, until time.Time, payload []byte) header {
	n := header{
		generation: h.generation + 1, written: max(now.UnixNano(), h.written+1, 0),
		size: len(payload), digest: sha256.Sum256(payload),
	}
	if !until.IsZero() {
		n.until = max(until.Unix(), 1)
	}
	return n
}

// line is the header in its one and only written form.
func (h header) line() []byte {
	return fmt.Appendf(nil, "%s %d %d %d %d %d %x\n", recordForm, h.generation, h.written, h.until, h.chunks, h.size, h.digest)
}

func (h header) slot() int { return int(h.generation % 2) }

// check reports whether payload is what the header was written for.
func (h header) check(payload []byte) error {
	if len(payload) != h.size {
		return fmt.Errorf("payload of %d bytes, want %d", len(payload), h.size)
	}
	if sha256.Sum256(payload) != h.digest {
		return errors.New("payload does not match its digest")
	}
	return nil
}

// parseHead takes a head item apart into its header and what follows it. The
// item may hold anything: errors do not quote it, for it may be a secret of
// someone else.
func parseHead(item []byte) (header, []byte, error) {
	end := bytes.IndexByte(item[:min(len(item), maxHeader)], '\n')
	if end < 0 {
		return header{}, nil, errors.New("no header line")
	}
	fields := strings.Split(string(item[:end]), " ")
	if fields[0] != recordForm {
		return header{}, nil, fmt.Errorf("not in form %s", recordForm)
	}
	if len(fields) != 7 {
		return header{}, nil, fmt.Errorf("header has %d fields, want 7", len(fields))
	}
	var h header
	var errs [6]error
	h.generation, errs[0] = strconv.ParseUint(fields[1], 10, 64)
	h.written, errs[1] = strconv.ParseInt(fields[2], 10, 64)
	h.until, errs[2] = strconv.ParseInt(fields[3], 10, 64)
	h.chunks, errs[3] = strconv.Atoi(fields[4])
	h.size, errs[4] = strconv.Atoi(fields[5])
	if len(fields[6]) == hex.EncodedLen(len(h.digest)) {
		_, errs[5] = hex.Decode(h.digest[:], []byte(fields[6]))
	}
	for _, err := range errs {
		if err != nil {
			return header{}, nil, errors.New("header has a bad number")
		}
	}
	// Only what line writes is a header: no signs, leading zeros, capitals.
	if !bytes.Equal(h.line(), item[:end+1]) {
		return header{}, nil, errors.New("header is not in its written form")
	}
	if h.chunks < 0 || h.chunks > maxChunks || h.size < 0 || h.size > MaxRecord {
		return header{}, nil, errors.New("header names an impossible size")
	}
	if h.written < 0 || h.until < 0 {
		return header{}, nil, errors.New("header names an impossible time")
	}
	return h, item[end+1:], nil
}
