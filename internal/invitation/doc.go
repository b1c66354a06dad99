// Package invitation decides by which link or code a person signs in, and where that is shown: in the status, or in a Secret, while the status
// shows the address alone. It decides by values, and makes no calls.
package invitation
