package deviceflow

import (
	"encoding/json"
	"time"
)

// memoryVersion is the form of the blob. Another version is not read.
const memoryVersion = 1

// memoryBlob is what [Memory] keeps: one JSON object.
type memoryBlob struct {
	Version   int             `json:"version"`
	Fetched   time.Time       `json:"fetched"`
	Discovery json.RawMessage `json:"discovery"`
	Keys      json.RawMessage `json:"keys,omitempty"`
}

// recall returns what an earlier process fetched, nil if there is nothing of use.
// It is checked like a new document: a file can be damaged, or of an older
// daypass that checked less.
func (f *Flow) recall() *provider {
	if f.Memory.Load == nil {
		return nil
	}
	data, err := f.Memory.Load()
	if err != nil {
		return nil
	}
	var blob memoryBlob
	if json.Unmarshal(data, &blob) != nil || blob.Version != memoryVersion {
		return nil
	}
	m, err := readMetadata(blob.Discovery)
	if err != nil || m.Issuer != f.Issuer {
		return nil
	}
	return &provider{metadata: m, document: blob.Discovery, keys: blob.Keys, fetched: blob.Fetched, recalled: true}
}

// remember makes p what is known of the provider, here and in later processes.
func (f *Flow) remember(p *provider) {
	f.mu.Lock()
	f.known = p
	f.mu.Unlock()
	if f.Memory.Save == nil {
		return
	}
	data, err := json.Marshal(memoryBlob{
		Version: memoryVersion, Fetched: p.fetched, Discovery: p.document, Keys: p.keys,
	})
	if err == nil {
		_ = f.Memory.Save(data)
	}
}
