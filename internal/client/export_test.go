package client

// Address returns the address of the API without the base path.
func (c *Client) Address() string { return c.address }
