const IMAGES = 'https://s3.amazonaws.com/fast-ai-imageclas'
const SAMPLES = 'https://s3.amazonaws.com/fast-ai-sample'

/** Data sets of pictures that fast.ai hosts, for {@link untarData}. */
export const URLs = {
  /** Cats and dogs of 37 breeds, 812 MB. */
  PETS: `${IMAGES}/oxford-iiit-pet.tgz`,
  /** Threes and sevens, 3 MB. */
  MNIST_SAMPLE: `${SAMPLES}/mnist_sample.tgz`,
  /** A tenth of those. */
  MNIST_TINY: `${SAMPLES}/mnist_tiny.tgz`,
  /** All digits, 16 MB. */
  MNIST: `${IMAGES}/mnist_png.tgz`,
  /** CIFAR-10: 60,000 pictures of 32 x 32, 168 MB. */
  CIFAR: `${SAMPLES}/cifar10.tgz`,
  CIFAR_100: `${IMAGES}/cifar100.tgz`,
  /** Ten easy classes of ImageNet: full size 1.6 GB, then by the shorter side. */
  IMAGENETTE: `${IMAGES}/imagenette2.tgz`,
  IMAGENETTE_160: `${IMAGES}/imagenette2-160.tgz`,
  IMAGENETTE_320: `${IMAGES}/imagenette2-320.tgz`,
  /** Ten breeds of dogs, which are harder to tell apart. */
  IMAGEWOOF: `${IMAGES}/imagewoof2.tgz`,
  IMAGEWOOF_160: `${IMAGES}/imagewoof2-160.tgz`,
  IMAGEWOOF_320: `${IMAGES}/imagewoof2-320.tgz`,
  FLOWERS: `${IMAGES}/oxford-102-flowers.tgz`,
  FOOD: `${IMAGES}/food-101.tgz`,
  CUB_200_2011: `${IMAGES}/CUB_200_2011.tgz`,
  CALTECH_101: `${IMAGES}/caltech_101.tgz`,
  CARS: `${IMAGES}/stanford-cars.tgz`,
  DOGS: `${SAMPLES}/dogscats.tgz`,
} as const

/** What an archive must be: its bytes, and the MD5 of its first MiB, as fast.ai publishes them. */
export interface Checksum {
  readonly size: number
  readonly md5: string
}

const known = (size: number, md5: string): Checksum => ({ size, md5 })

/** By URL. */
export const checksums: ReadonlyMap<string, Checksum> = new Map([
  [URLs.PETS, known(811706944, 'e4db5c768afd933bb91f5f594d7417a4')],
  [URLs.MNIST_SAMPLE, known(3214948, '2dbc7ec6f9259b583af0072c55816a88')],
  [URLs.MNIST_TINY, known(342207, '56143e8f24db90d925d82a5a74141875')],
  [URLs.MNIST, known(15683414, '03639f83c4e3d19e0a3a53a8a997c487')],
  [URLs.CIFAR, known(168168549, 'a5f8c31371b63a406b23368042812d3c')],
  [URLs.CIFAR_100, known(169168619, 'e5e65dcb54b9d3913f7b8a9ad6607e62')],
  [URLs.IMAGENETTE, known(1557161267, '2c774ecb40005b35d7937d50f5d42336')],
  [URLs.IMAGENETTE_160, known(99003388, 'c475f8f7617a200ba35b9facc48443c3')],
  [URLs.IMAGENETTE_320, known(341663724, '1f1f74f133caff120e575856659b87a2')],
  [URLs.IMAGEWOOF, known(1343715595, '2cc1c1e36e20cb6fd24ffb978edcb487')],
  [URLs.IMAGEWOOF_160, known(92612825, '3559b194123981a540b87132dbda412f')],
  [URLs.IMAGEWOOF_320, known(328387740, '7a1fd92672a559a85de76e4810a20c21')],
  [URLs.FLOWERS, known(345236087, '5666e01c1311b4c67fcf20d2b3850a88')],
  [URLs.FOOD, known(5686607260, '1a540ebf1fb40b2bf3f2294234ba7907')],
  [URLs.CUB_200_2011, known(1150585339, 'd2acaa99439dff0483c7bbac1bfe2a92')],
  [URLs.CALTECH_101, known(131740031, 'd673425306e98ee4619fcdeef8a0e876')],
  [URLs.CARS, known(1957803273, '9045d6673c9ced0889f41816f6bf2f9f')],
  [URLs.DOGS, known(839285364, '3e483c8d6ef2175e9d395a6027eb92b7')],
])
