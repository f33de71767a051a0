package deviceflow

import "context"

// DeviceEndpoint returns where a login begins: what was set, else what the
// discovery document names (RFC 8628 section 4). It is "" if the document names
// no such place: then the device grant is off, or not offered there.
func (f *Flow) DeviceEndpoint(ctx context.Context) (string, error) {
	p, err := f.provider(ctx)
	if err != nil || f.DeviceAuthorizationEndpoint != "" {
		return f.DeviceAuthorizationEndpoint, err
	}
	return p.DeviceAuthorizationEndpoint, nil
}
