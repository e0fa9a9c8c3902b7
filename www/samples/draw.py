# Draws the demo's picture, board.webp: printed lines, one on its head, one askew, and two drawn faces that the face finder finds.
# Needs Pillow and DejaVu Sans, whose licence is free: python3 draw.py FONTS-FOLDER

import sys
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FINE = 4
WALL, PAPER, INK = (205, 214, 226), (250, 249, 245), (32, 38, 48)
SKIN = [(224, 172, 140), (141, 85, 58)]
HAIR = [(60, 40, 30), (20, 15, 15)]
SHIRT = [(70, 90, 140), (150, 82, 60)]


def shade(colour, by):
    return tuple(min(255, int(v * by)) for v in colour)


def face(skin, hair, shirt, width=240, height=300):
    """A head and shoulders out of soft ellipses."""
    image = Image.new('RGB', (width * FINE, height * FINE), WALL)

    def put(draw, blur):
        layer = Image.new('RGBA', image.size, (0, 0, 0, 0))
        draw(ImageDraw.Draw(layer))
        layer = layer.filter(ImageFilter.GaussianBlur(blur * FINE))
        image.paste(layer, (0, 0), layer)

    def box(x, y, across, down):
        return [v * FINE for v in (x - across, y - down, x + across, y + down)]

    def spot(x, y, across, down, colour, alpha=255, blur=1.0):
        put(lambda d: d.ellipse(box(x, y, across, down), fill=colour + (alpha,)), blur)

    def bow(x, y, across, down, start, end, colour, wide, blur=0.7):
        put(lambda d: d.arc(box(x, y, across, down), start, end, fill=colour + (255,), width=int(wide * FINE)), blur)

    x, y = width / 2, height / 2
    dark, light = shade(skin, 0.72), shade(skin, 1.1)
    spot(x, y - 18, 80, 98, hair)
    put(lambda d: d.rectangle(box(x, y + 90, 30, 40), fill=dark + (255,)), 3)
    spot(x, y + 160, 110, 55, shirt)
    spot(x, y + 2, 66, 86, skin, blur=1.2)
    spot(x, y - 74, 60, 26, hair, blur=4)
    spot(x, y + 80, 50, 14, dark, 150, 7)
    for side in (-1, 1):
        spot(x + side * 40, y + 25, 22, 24, light, 110, 8)
        eye, brow = x + side * 27, 215 if side < 0 else 225
        spot(eye, y - 14, 19, 12, dark, 200, 4)
        spot(eye, y - 12, 13, 6.5, (240, 238, 235), blur=0.8)
        spot(eye, y - 12, 6.5, 6.5, (60, 42, 32), blur=0.6)
        spot(eye, y - 12, 3, 3, (10, 10, 10), blur=0.4)
        bow(eye, y - 12, 14, 9, 195, 345, (35, 25, 22), 3)
        bow(eye, y - 17, 20, 19, brow, brow + 100, hair, 5, 1)
        spot(x + side * 6, y + 31, 4, 2.2, (70, 35, 30), 220)
    nose = [(v * FINE, w * FINE) for v, w in ((x - 4, y - 10), (x - 13, y + 28), (x + 13, y + 28), (x + 4, y - 10))]
    put(lambda d: d.polygon(nose, fill=dark + (120,)), 5)
    spot(x, y + 22, 8, 9, light, 160, 4)
    spot(x, y + 53, 24, 6.5, (165, 75, 75), blur=1.4)
    bow(x, y + 47, 25, 9, 15, 165, (90, 35, 38), 2.2)
    return image.resize((width, height), Image.LANCZOS)


def line(text, font, turn=0):
    """A printed line on nothing, turned by degrees."""
    _, _, right, bottom = font.getbbox(text)
    layer = Image.new('RGBA', (right + 8, bottom + 8), INK + (0,))
    ImageDraw.Draw(layer).text((4, 4), text, font=font, fill=INK + (255,))
    return layer.rotate(turn, expand=True, resample=Image.BICUBIC)


def board(fonts):
    image = Image.new('RGB', (960, 640), WALL)
    ImageDraw.Draw(image).rectangle([24, 24, 640, 616], fill=PAPER)
    lines = [
        ('Notice board', 'DejaVuSans-Bold', 46, 0, (60, 52)),
        ('Choir practice moves to room 12', 'DejaVuSans', 32, 0, (60, 148)),
        ('Friday, 21 March, 19:30', 'DejaVuSans', 32, 0, (60, 212)),
        ('Tickets cost 14.50 EUR each', 'DejaVuSerif', 32, 0, (60, 276)),
        ('Bring your own tea!', 'DejaVuSans-Bold', 34, 7, (80, 350)),
        ('This line hangs upside down', 'DejaVuSans', 30, 180, (70, 520)),
    ]
    for text, font, size, turn, place in lines:
        layer = line(text, ImageFont.truetype(f'{fonts}/{font}.ttf', size), turn)
        image.paste(layer, place, layer)
    for i in range(2):
        image.paste(face(SKIN[i], HAIR[i], SHIRT[i]), (680, 20 + 310 * i))
    return image


if __name__ == '__main__':
    board(sys.argv[1]).save('board.webp', quality=80, method=6)
