// The QR code encoder of Debian's libqrencode-dev.
#include <qrencode.h>
