package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
)

func keepAlive(ctx context.Context, conn *websocket.Conn) error {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		ping, cancel := context.WithTimeout(ctx, pingEvery)
		err := conn.Ping(ping)
		cancel()
		if err != nil {
			return fmt.Errorf("the coordinator does not answer: %w", err)
		}
	}
}

func readFrame(ctx context.Context, conn *websocket.Conn) (*linkv1.Frame, error) {
	kind, data, err := conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	if kind != websocket.MessageBinary {
		return nil, errors.New("a text message where frames are binary")
	}
	f := new(linkv1.Frame)
	if err := proto.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("malformed frame: %w", err)
	}
	return f, nil
}

func writeFrame(ctx context.Context, conn *websocket.Conn, f *linkv1.Frame) error {
	data, err := proto.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(data) > maxFrame {
		return fmt.Errorf("frame has %d bytes, at most %d are sent", len(data), maxFrame)
	}
	return conn.Write(ctx, websocket.MessageBinary, data)
}
